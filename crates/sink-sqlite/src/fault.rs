//! What went wrong, and what may help.

use rusqlite::ErrorCode;
use sink::{Fault, TargetError};

/// An error of SQLite's, or one of ours.
pub(crate) enum Failure {
    Sqlite(rusqlite::Error),
    Ours(TargetError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Failure {
        Failure::Ours(error)
    }
}

/// What was tried, in SQLite's own words, with its code.
pub(crate) fn failed(what: &str, failure: Failure) -> TargetError {
    let error = match failure {
        Failure::Ours(ours) => return TargetError { message: format!("{what}: {}", ours.message), ..ours },
        Failure::Sqlite(error) => error,
    };
    let Some(told) = error.sqlite_error() else {
        return TargetError::lasting(format!("{what}: {error}"));
    };
    let (fault, advice) = judge(told.code);
    TargetError {
        message: format!("{what}: {error}{advice} (SQLite's code {})", told.extended_code),
        code: Some(told.extended_code.to_string()),
        fault,
    }
}

fn judge(code: ErrorCode) -> (Fault, &'static str) {
    match code {
        ErrorCode::DiskFull => (Fault::Passing, ": it goes on when there is room"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            (Fault::Passing, ": another process holds it for longer than a batch takes")
        }
        ErrorCode::OutOfMemory
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted
        | ErrorCode::SystemIoFailure
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::SchemaChanged => (Fault::Passing, ""),
        ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig
        | ErrorCode::ParameterOutOfRange => (Fault::Refused, ""),
        ErrorCode::CannotOpen => {
            (Fault::Lasting, ": its folder has to be there, and this user has to be let write in it")
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            (Fault::Lasting, ": this user has to be let write the file, and in its folder")
        }
        _ => (Fault::Lasting, ""),
    }
}
