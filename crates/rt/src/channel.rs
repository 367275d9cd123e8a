//! Channels and async locks that work under any executor, so the same ones serve both halves.
//!
//! - C1 None of them reads a clock. Where one wakes several waiters in an order of its own (`watch`, `Notify`), the
//!   simulator's choice among ready tasks does not depend on the order of the wakes.

pub use tokio::sync::{
    AcquireError, Mutex, MutexGuard, Notify, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard,
    OwnedSemaphorePermit, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit,
    TryAcquireError, mpsc, oneshot, watch,
};
