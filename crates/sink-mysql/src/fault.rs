//! What went wrong, and what may help.

use mysql_async::{DriverError, Error, ServerError};
use sink::{Fault, TargetError};

/// An error of the database's or the driver's, or one of ours.
pub(crate) enum Failure {
    Mysql(Error),
    Ours(TargetError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Mysql(error)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Failure {
        Failure::Ours(error)
    }
}

/// What was tried, in the database's own words, with its codes.
pub(crate) fn failed(what: &str, failure: Failure) -> TargetError {
    let told = match failure {
        Failure::Ours(ours) => return TargetError { message: format!("{what}: {}", ours.message), ..ours },
        Failure::Mysql(Error::Server(told)) => told,
        Failure::Mysql(Error::Driver(error)) if needs_a_hand(&error) => {
            return TargetError::lasting(format!("{what}: {error}: the user needs another way to log in"));
        }
        Failure::Mysql(error) => return TargetError::passing(format!("{what}: {error}")),
    };
    let (fault, advice) = judge(&told);
    TargetError {
        message: format!("{what}: {}{advice} (error {}, SQLSTATE {})", told.message, told.code, told.state),
        code: Some(told.state),
        fault,
    }
}

fn needs_a_hand(error: &DriverError) -> bool {
    matches!(error, DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled)
}

/// What is known by its number; of others, the class of the SQLSTATE tells.
fn judge(told: &ServerError) -> (Fault, &'static str) {
    match told.code {
        // Errors 28 are the system's "no space left" in the words of the storage engine.
        3 | 1021 | 1026 | 1030 | 1114 if told.code != 1030 || told.message.contains("28") => {
            (Fault::Passing, ": it goes on when there is room")
        }
        // Locks that others hold, sessions and memory that others have, a server that ends or may not write at the moment.
        1020
        | 1205
        | 1213
        | 1040
        | 1203
        | 1226
        | 1037
        | 1038
        | 1041
        | 1053
        | 1080
        | 1152
        | 1158..=1161
        | 1180
        | 1184
        | 1290
        | 1297
        | 1317
        | 1412
        | 1615
        | 1637
        | 1792
        | 1836
        | 1927
        | 1969
        | 2006
        | 2013
        | 3024
        | 3572
        | 4031 => (Fault::Passing, ""),
        // Nulls, duplicates, ranges, lengths, formats, foreign keys, checks, triggers that refuse, rows that are too long.
        1048
        | 1062
        | 1118
        | 1136
        | 1153
        | 1169
        | 1216
        | 1217
        | 1264
        | 1265
        | 1292
        | 1301
        | 1364
        | 1366
        | 1367
        | 1406
        | 1411
        | 1451
        | 1452
        | 1526
        | 1644
        | 1690
        | 1748
        | 3140..=3158
        | 3819
        | 4025 => (Fault::Refused, ""),
        1044 | 1142 | 1143 | 1227 | 1370 => (Fault::Lasting, ": GRANT it to the user"),
        1045 | 1698 => (Fault::Lasting, ": the url's user and the password have to be the database's"),
        1049 => (Fault::Lasting, ": CREATE DATABASE makes it"),
        1146 => (Fault::Lasting, ": it has to come back, or the sink has to begin anew under another name"),
        _ => match told.state.get(..2) {
            Some("08" | "40") => (Fault::Passing, ""),
            Some("22" | "23") => (Fault::Refused, ""),
            _ => (Fault::Lasting, ""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u16, state: &str, message: &str, expected: Fault) {
        let told = ServerError { code, state: state.to_owned(), message: message.to_owned() };
        assert_eq!(failed("writing", Failure::Mysql(Error::Server(told))).fault, expected, "{code}");
    }

    #[test]
    fn errors_are_told_apart() {
        check(1213, "40001", "Deadlock found when trying to get lock", Fault::Passing);
        check(1114, "HY000", "The table 't' is full", Fault::Passing);
        check(1030, "HY000", "Got error 28 \"No space left on device\" from storage engine", Fault::Passing);
        check(1030, "HY000", "Got error 126 from storage engine", Fault::Lasting);
        check(1264, "22003", "Out of range value for column", Fault::Refused);
        check(1698, "28000", "Access denied for user", Fault::Lasting);
        check(9999, "23000", "something of rows", Fault::Refused);
        check(9999, "HY000", "something else", Fault::Lasting);
        let lost = Failure::Mysql(Error::Driver(DriverError::ConnectionClosed));
        assert_eq!(failed("writing", lost).fault, Fault::Passing);
    }
}
