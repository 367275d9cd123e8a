//! States in which a power cut may leave the disk while the log works, and whether the log starts on each as it promised:
//! all of a crash where they are few, a sample by seed where they are many.
//!
//! Reading order: [`life`] is a log between a start and an end, [`promise`] is what it must be after any end,
//! [`stage`] writes down the disk's changes and the promises while [`operations`] run, [`replay`] makes the states and
//! starts the log on each.
//!
//! The states are those of `rt::sim::Recording`: what a sync covered is there, everything else may be lost, kept, torn or
//! out of order.

pub mod choices;
pub mod life;
pub mod operations;
pub mod promise;
pub mod replay;
pub mod stage;
