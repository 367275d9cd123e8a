//! `ottla sink pause` and `resume`.

use std::time::Duration;

use crate::cell::Cell;
use crate::failure::Failure;
use crate::output::Output;
use crate::sink::Chosen;

/// Longest wait for the workers to do as they are told.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tells a sink to pause or to go on.
pub(super) async fn run(chosen: &Chosen, is_to_pause: bool, output: &mut Output) -> Result<(), Failure> {
    let Chosen { client, name, is_defined } = chosen;
    let board = sinks::board(client).await?;
    let entry = match board.sinks().get(name) {
        Some(entry) => entry.clone(),
        None if *is_defined => sinks::Entry::default(),
        None => return Err(chosen.unknown(&board)),
    };
    let lingering = sinks::set_paused(client, name, is_to_pause, PATIENCE).await?;
    let done = if is_to_pause { "paused" } else { "resumed" };
    if !lingering.is_empty() {
        let workers = lingering.join(", ");
        return Err(Failure::refused(format!(
            "sink '{name}' was told, and of its workers {workers} did not say within {} s that it is {done}",
            PATIENCE.as_secs()
        ))
        .next(format!("They do as soon as they hear of it: `ottla sink status {name}` shows them.")));
    }
    let workers = entry.live(client.rt().wall_clock_ms()).count();
    if output.is_json() {
        output.json(&Cell::Object(vec![
            ("sink", Cell::text(name)),
            ("result", Cell::text(done)),
            ("workers", Cell::count(workers)),
        ]));
        return Ok(());
    }
    output.line(&match (is_to_pause, workers) {
        (true, 0) => format!("Paused sink '{name}'. It has no workers; those that start will wait."),
        (true, 1) => format!("Paused sink '{name}': its worker keeps its partitions and writes nothing."),
        (true, _) => {
            format!("Paused sink '{name}': its {workers} workers keep their partitions and write nothing.")
        }
        (false, 0) => format!("Resumed sink '{name}'. It has no workers: `ottla sink run FILE` starts one."),
        (false, 1) => format!("Resumed sink '{name}': its worker goes on."),
        (false, _) => format!("Resumed sink '{name}': its {workers} workers go on."),
    });
    Ok(())
}
