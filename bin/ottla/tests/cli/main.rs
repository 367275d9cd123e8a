//! The commands as a user runs them: a process of `ottla` for the broker, one for each command.

mod changes;
mod check;
mod consume;
mod demos;
mod describe;
mod dump;
mod hanging;
mod manual;
mod support;
