//! `[[sink]]`: sinks that run with the server.
//!
//! - N1 However a sink ends, the server does not: it is started again after a while.
//! - N2 What is logged of a sink is its name and what its worker says, never what its definition holds.

use std::path::Path;
use std::time::Duration;

use broker::Broker;
use rt::Rt;
use rt::channel::{oneshot, watch};
use sink::{Definition, Listed};
use sinks::{RunError, Teller};

/// The wait before a sink is started again: after it failed so often in a row, doubling.
const RESTART_AFTER_MIN: Duration = Duration::from_secs(1);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(60);

/// A sink that ran for so long did not fail at its start.
const STEADY: Duration = Duration::from_secs(60);

/// Longest wait for the sinks to write what they have, when the server stops; the rest is read again.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The sinks in the text of a configuration file.
///
/// # Errors
/// One of them is wrong; what is said names the file and the line.
pub async fn read(rt: &Rt, path: &Path, text: &str) -> Result<Vec<Definition>, String> {
    let shown = path.display();
    let listed = Definition::parse_listed(text).map_err(|error| format!("{shown}: {error}"))?;
    let mut definitions: Vec<Definition> = Vec::new();
    for (line, listed) in listed {
        let definition = match listed {
            Listed::Here(definition) => *definition,
            Listed::File(file) => read_file(rt, path, &file)
                .await
                .map_err(|problem| format!("{shown}: line {line}: {problem}"))?,
        };
        let refused =
            |problem: &str| Err(format!("{shown}: line {line}: sink '{}': {problem}", definition.name));
        if definitions.iter().any(|known| known.name == definition.name) {
            return refused("another one has that name, by which the database keeps how far it came");
        }
        if let Err(error) = sinks::open(rt, &definition).await {
            return refused(&error.message);
        }
        definitions.push(definition);
    }
    Ok(definitions)
}

/// A sink in a file of its own, whose name counts from where the configuration file is.
async fn read_file(rt: &Rt, beside: &Path, file: &str) -> Result<Definition, String> {
    let path = beside.parent().unwrap_or(Path::new("")).join(file);
    let (fs, shown) = (rt.fs().clone(), path.display().to_string());
    let bytes = rt.blocking(move || fs.read(&path)).await.map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is no text"))?;
    Definition::parse(&text).map_err(|error| format!("{shown}: {error}"))
}

/// Sinks at work.
pub struct Sinks {
    rt: Rt,
    stop: watch::Sender<bool>,
}

impl Sinks {
    /// Starts each; those that name no cluster read this broker's.
    ///
    /// # Errors
    /// There is no way in for them.
    pub async fn start(rt: &Rt, broker: &Broker, definitions: Vec<Definition>) -> std::io::Result<Sinks> {
        let stop = watch::channel(false).0;
        if !definitions.is_empty() {
            let inside = broker.listen_inside().await?.to_string();
            for definition in definitions {
                let bootstrap = definition.bootstrap.clone().unwrap_or_else(|| vec![inside.clone()]);
                rt.spawn("sink", keep_running(rt.clone(), bootstrap, definition, stop.subscribe()));
            }
        }
        Ok(Sinks { rt: rt.clone(), stop })
    }

    /// Stops them, and waits a while until they have written what they have.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.rt.timeout(STOP_PATIENCE, self.stop.closed()).await.is_err() {
            tracing::warn!("sinks are not done; what they did not write is read again after the next start");
        }
    }
}

/// Runs a sink until `stop`, again and again (N1).
async fn keep_running(rt: Rt, bootstrap: Vec<String>, definition: Definition, stop: watch::Receiver<bool>) {
    let mut restart_after = RESTART_AFTER_MIN;
    loop {
        let began = rt.now();
        // On a task of its own, so that even a defect is only that sink's.
        let (end, ended) = oneshot::channel();
        let run = run(rt.clone(), bootstrap.clone(), definition.clone(), stopped(stop.clone()));
        rt.spawn("sink run", async move {
            // Who waits for it waits to its end.
            drop(end.send(run.await));
        });
        let ended = ended.await;
        if *stop.borrow() {
            return;
        }
        let reason = match ended {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it broke, which is a defect of Ottla".to_owned(),
        };
        if began + STEADY <= rt.now() {
            restart_after = RESTART_AFTER_MIN;
        }
        let name = &definition.name;
        tracing::error!("sink {name}: {reason}; it is started again in {} s", restart_after.as_secs());
        rt::select! {
            () = stopped(stop.clone()) => return,
            () = rt.sleep(restart_after) => {}
        }
        restart_after = (restart_after * 2).min(RESTART_AFTER_MAX);
    }
}

async fn run(
    rt: Rt,
    bootstrap: Vec<String>,
    definition: Definition,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let client = sinks::connect(&rt, bootstrap, &definition.name).await?;
    let (name, mut teller) = (definition.name.clone(), Teller::default());
    let log = |note| match teller.line(note, rt.now()) {
        Some(line) if line.is_trouble => tracing::warn!("sink {name}: {}", line.text),
        Some(line) => tracing::info!("sink {name}: {}", line.text),
        None => {}
    };
    sinks::run(&client, definition, stop, log).await
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // Nobody left to say so is nobody who wants them to go on.
    drop(stop.wait_for(|is_to_stop| *is_to_stop).await);
}
