//! The commands as a user runs them: a process of `ottla` for the broker, one for each command.

mod consume;
mod dump;
mod support;
