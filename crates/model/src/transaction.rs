//! How transactions end, and who says so.

/// What a transaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionResult {
    /// Its records count as if they had been written without one.
    Commit,
    /// Its records are as if they had never been written to whoever reads committed ones only.
    Abort,
}

/// The incarnation of a transaction coordinator: the leader epoch of its partition of `__transaction_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoordinatorEpoch(pub i32);

impl CoordinatorEpoch {
    /// No coordinator has written yet.
    pub const NONE: CoordinatorEpoch = CoordinatorEpoch(-1);
}

/// The protocol of transactions that a producer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionVersion {
    /// Several transactions of a producer may have one epoch (KIP-98).
    Tv1,
    /// The end of each transaction raises the producer's epoch (KIP-890).
    Tv2,
}
