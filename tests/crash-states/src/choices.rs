//! Who chooses among the states of a crash: one after the other until all were had, or by chance.

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = (mixed ^ (mixed >> 31)) % u64::try_from(bound).expect("a small bound");
        usize::try_from(drawn).expect("below a small bound")
    }
}

/// All sequences of choices, each once, like the digits of an odometer.
#[derive(Default)]
pub struct Odometer {
    /// What was chosen, and below which bound.
    digits: Vec<(usize, usize)>,
    next: usize,
}

impl Odometer {
    /// The next choice of this sequence.
    pub fn choose(&mut self, bound: usize) -> usize {
        if self.next == self.digits.len() {
            self.digits.push((0, bound));
        }
        self.next += 1;
        self.digits[self.next - 1].0
    }

    /// Goes on to the next sequence; false when there is none.
    pub fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((digit, bound)) = self.digits.pop() {
            if digit + 1 < bound {
                self.digits.push((digit + 1, bound));
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odometer_goes_through_everything_once() {
        let mut odometer = Odometer::default();
        let mut seen = Vec::new();
        loop {
            let first = odometer.choose(2);
            let second = if first == 0 { odometer.choose(3) } else { 0 };
            seen.push((first, second));
            if !odometer.advance() {
                break;
            }
        }
        assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0)]);
    }
}
