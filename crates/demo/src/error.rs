//! Why a demo ended before its end.

use std::fmt;

/// Why there is no summary.
#[derive(Debug)]
pub enum DemoError {
    /// The cluster refuses, or is not there.
    Cluster(client::Error),
    /// The database refuses, or is none.
    Database(sink::TargetError),
    /// Something in the demo itself does not go on.
    Stuck(String),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Cluster(error) => error.fmt(f),
            DemoError::Database(error) => error.fmt(f),
            DemoError::Stuck(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for DemoError {}

impl From<client::Error> for DemoError {
    fn from(error: client::Error) -> DemoError {
        DemoError::Cluster(error)
    }
}

impl From<sink::TargetError> for DemoError {
    fn from(error: sink::TargetError) -> DemoError {
        DemoError::Database(error)
    }
}

impl From<load::LoadError> for DemoError {
    fn from(error: load::LoadError) -> DemoError {
        match error {
            load::LoadError::Client(error) => DemoError::Cluster(error),
            load::LoadError::Plan(problem) => DemoError::Stuck(problem),
        }
    }
}
