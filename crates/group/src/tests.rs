//! Scripts, captured records and random histories.

mod command;
mod history;
mod print;
mod records;
mod script;
