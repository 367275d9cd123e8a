//! What went wrong, in the database's own words, and what may help.

use sink::{Fault, TargetError};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// What is to be done about a table that was there.
pub(crate) const GONE: &str =
    "the table is gone: it has to come back as it was, or the sink to begin anew under another name";

/// An error of the database, or on the way there.
pub(crate) fn failed(what: &str, error: &Error) -> TargetError {
    let Some(told) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
        return TargetError::passing(format!("{what}: {error}{cause}"));
    };
    let detail = told.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
    let place = told.where_().map_or_else(String::new, |place| format!(" [{place}]"));
    let code = told.code().code();
    let advice = advice(told.code()).map_or_else(String::new, |advice| format!(": {advice}"));
    let message = format!("{what}: {}{detail}{place}, SQLSTATE {code}{advice}", told.message());
    TargetError { message, code: Some(code.to_owned()), fault: fault(told.code()) }
}

/// What may help against an error ("PostgreSQL Error Codes", in its manual).
fn fault(state: &SqlState) -> Fault {
    let passing = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    match state.code().get(..2) {
        // Connections, roll-backs for the sake of others, and what there is not enough of: memory, disk, connections.
        Some("08" | "40" | "53") => Fault::Passing,
        // What a value is, and what a table takes; that one statement meets a row twice, which is two of the batch; sizes.
        Some("21" | "22" | "23" | "54") => Fault::Refused,
        _ if passing.contains(state) => Fault::Passing,
        _ => Fault::Lasting,
    }
}

/// What somebody can do about it, where that is known.
fn advice(state: &SqlState) -> Option<&'static str> {
    Some(match *state {
        SqlState::DISK_FULL => "the database's disk is full; the sink goes on when there is room",
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "check the user in the url, and password_env or password_file"
        }
        SqlState::INVALID_CATALOG_NAME => "make the database, or name another one in the url",
        SqlState::INSUFFICIENT_PRIVILEGE => {
            "GRANT the right to the user in the url, or make the tables as `ottla sink plan` says"
        }
        SqlState::UNDEFINED_TABLE => GONE,
        SqlState::UNDEFINED_COLUMN => {
            "a sink adds columns only when it starts, and when records have new fields"
        }
        _ => return None,
    })
}
