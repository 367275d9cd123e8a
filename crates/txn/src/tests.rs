//! Scripts, records and what a replay gives back.

mod command;
mod print;
mod records;
mod script;
