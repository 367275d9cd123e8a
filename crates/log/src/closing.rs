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
        for (index, log) in logs.iter_mut().enumerate() {
            let Ok(log) = log else { continue };
            if let Some(job) = log.take_sync() {
                let sender = sender.clone();
                // The receiver waits below until every job is over.
                commit.submit(job, move |synced| drop(sender.send((index, synced))));
            }
        }
        drop(sender);
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
