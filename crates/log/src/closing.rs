//! Closing many logs together: their last syncs share the rounds of group commit.

use rt::Rt;
use rt::channel::mpsc;

use crate::group_commit::GroupCommit;
use crate::log::Log;
use crate::log_error::LogError;

/// Makes all logs durable and closes them; says how each one ended, in their order.
///
/// A log whose sync is still under way is not closed: wait for it first.
pub async fn close_all(rt: &Rt, commit: &GroupCommit, logs: Vec<Log>) -> Vec<Result<(), LogError>> {
    let mut logs = rt.blocking(move || logs.into_iter().map(rested).collect::<Vec<Rested>>()).await;
    loop {
        let (sender, mut results) = mpsc::unbounded_channel();
        let open = logs.iter_mut().enumerate().filter_map(|(index, log)| Some((index, log.as_mut().ok()?)));
        let jobs = open.filter_map(|(index, log)| Some((index, log.take_sync()?)));
        // The receiver waits below until every job is over.
        commit.submit(jobs, move |index, synced| drop(sender.send((index, synced))));
        let mut synced_any = false;
        while let Some((index, synced)) = results.recv().await {
            synced_any = true;
            if let Ok(log) = &mut logs[index]
                && let Err(error) = log.synced(synced)
            {
                logs[index] = Err(error);
            }
        }
        if !synced_any {
            break;
        }
    }
    rt.blocking(move || logs.into_iter().map(|log| log.and_then(Log::close)).collect()).await
}

type Rested = Result<Log, LogError>;

fn rested(mut log: Log) -> Rested {
    log.rest().map(|()| log)
}
