//! Numbers that look drawn and are the same for the same message, so that two can write one stream without talking.

/// A number for a message, another one for each `aspect` of it (splitmix64's last step).
pub(crate) fn draw(message: u64, aspect: u64) -> u64 {
    let mut mixed = message.wrapping_mul(31).wrapping_add(aspect).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One of so many.
pub(crate) fn pick(message: u64, aspect: u64, of: u64) -> u64 {
    draw(message, aspect) % of
}
