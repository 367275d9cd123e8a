//! Every database that sinks write into, behind one type: the scheme of a definition's url says which.

use std::path::Path;

use rt::Rt;
use sink::{Batch, Claim, Definition, Granted, Password, Schema, Target, TargetError};
use sink_mysql::Mysql;
use sink_postgres::Postgres;
use sink_sqlite::Sqlite;

/// The schemes there are, as a user who named another one is told.
const SCHEMES: &str = "postgres://USER@HOST:PORT/DATABASE, mysql://USER@HOST:PORT/DATABASE and sqlite:PATH";

/// A database.
#[allow(clippy::large_enum_variant, reason = "a worker has one, and moves it a few times in its life")]
pub enum Database {
    /// PostgreSQL.
    Postgres(Postgres),
    /// MySQL or MariaDB.
    Mysql(Mysql),
    /// SQLite.
    Sqlite(Sqlite),
}

/// The database that a definition names, with its password from where the definition says it is. Nothing is asked of it yet.
///
/// # Errors
/// There is no such kind of database, its address cannot be read, or its password is not where it is said to be.
pub async fn open(rt: &Rt, definition: &Definition) -> Result<Database, TargetError> {
    let url = &definition.database.url;
    let password = password(rt, definition.database.password.as_ref()).await.map_err(TargetError::lasting)?;
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "postgres" | "postgresql" => Postgres::new(rt, url, password.as_deref()).map(Database::Postgres),
        "mysql" => Mysql::new(rt, url, password.as_deref()).map(Database::Mysql),
        "sqlite" => Sqlite::new(rt, url, password.as_deref()).map(Database::Sqlite),
        // Only the scheme is shown: what follows may hold a password.
        _ => Err(TargetError::lasting(format!(
            "'{scheme}:' is no database that sinks write into; there is {SCHEMES}"
        ))),
    }
}

impl Database {
    /// Runs a statement that is no sink's, in a transaction of its own; the whole numbers of the first row it answers.
    ///
    /// # Errors
    /// As for those of a sink.
    pub async fn ask(&mut self, statement: &str) -> Result<Vec<i64>, TargetError> {
        match self {
            Database::Postgres(target) => target.ask(statement).await,
            Database::Mysql(target) => target.ask(statement).await,
            Database::Sqlite(target) => target.ask(statement).await,
        }
    }
}

/// A password, from where it is to be had.
async fn password(rt: &Rt, password: Option<&Password>) -> Result<Option<String>, String> {
    match password {
        None => Ok(None),
        Some(Password::Variable(name)) => std::env::var(name)
            .map(Some)
            .map_err(|_| format!("there is no {name} in the environment, which password_env names")),
        Some(Password::File(file)) => {
            let (fs, path) = (rt.fs().clone(), Path::new(file).to_owned());
            let read = rt.blocking(move || fs.read(&path)).await;
            let bytes = read.map_err(|error| format!("password_file names {file}: {error}"))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| format!("password_file names {file}, which is no text"))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
    }
}

impl Target for Database {
    fn create(&self, schema: &Schema) -> Vec<String> {
        match self {
            Database::Postgres(target) => target.create(schema),
            Database::Mysql(target) => target.create(schema),
            Database::Sqlite(target) => target.create(schema),
        }
    }

    async fn plan(&mut self, schema: &Schema) -> Result<Vec<String>, TargetError> {
        match self {
            Database::Postgres(target) => target.plan(schema).await,
            Database::Mysql(target) => target.plan(schema).await,
            Database::Sqlite(target) => target.plan(schema).await,
        }
    }

    async fn prepare(&mut self, schema: &Schema) -> Result<Schema, TargetError> {
        match self {
            Database::Postgres(target) => target.prepare(schema).await,
            Database::Mysql(target) => target.prepare(schema).await,
            Database::Sqlite(target) => target.prepare(schema).await,
        }
    }

    async fn claim(&mut self, sink: &str, claims: &[Claim]) -> Result<Vec<Granted>, TargetError> {
        match self {
            Database::Postgres(target) => target.claim(sink, claims).await,
            Database::Mysql(target) => target.claim(sink, claims).await,
            Database::Sqlite(target) => target.claim(sink, claims).await,
        }
    }

    async fn commit(&mut self, sink: &str, schema: &Schema, batch: &Batch) -> Result<bool, TargetError> {
        match self {
            Database::Postgres(target) => target.commit(sink, schema, batch).await,
            Database::Mysql(target) => target.commit(sink, schema, batch).await,
            Database::Sqlite(target) => target.commit(sink, schema, batch).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a database that cannot be opened.
    #[track_caller]
    fn refused(database: &str) -> String {
        let text = format!("name = 's'\ntopics = 't'\ntable = 't'\n[database]\n{database}");
        let definition = Definition::parse(&text).expect("a definition");
        let sim = rt::sim::Sim::new(1);
        let rt = sim.node("worker");
        let opened = sim.run(async move { open(&rt, &definition).await });
        opened.err().expect("no database").message
    }

    #[test]
    fn what_cannot_be_opened_is_said_without_what_may_be_secret() {
        assert_eq!(
            refused("url = 'oracle://scott:tiger@h/d'"),
            "'oracle:' is no database that sinks write into; there is postgres://USER@HOST:PORT/DATABASE, mysql://USER@HOST:PORT/DATABASE and sqlite:PATH"
        );
        assert_eq!(
            refused("url = 'postgres://scott:tiger@h/d'"),
            "a password does not belong in the url: name it by password_env or password_file"
        );
        assert_eq!(
            refused("url = 'postgres://h/d'\npassword_env = 'OTTLA_TEST_NO_SUCH_VARIABLE'"),
            "there is no OTTLA_TEST_NO_SUCH_VARIABLE in the environment, which password_env names"
        );
        let told = refused("url = 'postgres://h/d'\npassword_file = '/no/such/file'");
        assert!(told.starts_with("password_file names /no/such/file: "), "{told}");
    }
}
