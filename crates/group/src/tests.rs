//! Scripts, captured records and random histories.

mod command;
mod history;
mod log;
mod print;
mod records;
mod script;
