//! AddPartitionsToTxn: what a transaction writes to; adding the first partition begins it.
//!
//! - P1 All of a request's partitions are added, or none.
//! - P2 What is in the log already is answered without writing it again.

use model::{ErrorCode, PartitionIndex, Ticket, TopicName};

use crate::action::{Reply, TopicErrors};
use crate::event::AddPartitionsRequest;
use crate::stored::{Partitions, State, Stored};
use crate::transaction::Transaction;
use crate::turn::Turn;

impl AddPartitionsRequest {
    /// Every partition of the request, with one error.
    pub(crate) fn all(&self, error: ErrorCode) -> Reply {
        self.each(|_, _| error)
    }

    fn each(&self, error_of: impl Fn(&TopicName, PartitionIndex) -> ErrorCode) -> Reply {
        let topic = |(name, partitions): &(TopicName, Vec<PartitionIndex>)| -> TopicErrors {
            let partitions = partitions.iter().map(|&index| (index, error_of(name, index))).collect();
            (name.clone(), partitions)
        };
        Reply::AddPartitions(self.topics.iter().map(topic).collect())
    }
}

impl Transaction {
    /// AddPartitionsToTxn of an id that is known.
    pub fn on_add_partitions(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &AddPartitionsRequest) {
        if let Err(error) = self.check_producer(request) {
            turn.reply(ticket, request.all(error));
        } else if request.verify_only {
            let reply = request.each(|topic, index| match self.has(topic, index) {
                true => ErrorCode::None,
                false => ErrorCode::TransactionAbortable,
            });
            turn.reply_durable(ticket, reply);
        } else {
            match self.add(turn, request) {
                Ok(()) => turn.reply_durable(ticket, request.all(ErrorCode::None)),
                Err(error) => turn.reply(ticket, request.all(error)),
            }
        }
    }

    fn check_producer(&self, request: &AddPartitionsRequest) -> Result<(), ErrorCode> {
        let stored = self.stored();
        if stored.producer_id != request.producer_id {
            Err(ErrorCode::InvalidProducerIdMapping)
        } else if stored.producer_epoch != request.producer_epoch {
            Err(ErrorCode::ProducerFenced)
        } else if stored.state.is_ending() {
            Err(ErrorCode::ConcurrentTransactions)
        } else {
            Ok(())
        }
    }

    fn has(&self, topic: &TopicName, index: PartitionIndex) -> bool {
        self.stored().partitions.get(topic).is_some_and(|indexes| indexes.contains(&index))
    }

    fn add(&mut self, turn: &mut Turn<'_>, request: &AddPartitionsRequest) -> Result<(), ErrorCode> {
        let stored = self.stored();
        let is_ongoing = stored.state == State::Ongoing;
        let mut asked = request
            .topics
            .iter()
            .flat_map(|(topic, indexes)| indexes.iter().map(move |&index| (topic, index)));
        if is_ongoing && asked.all(|(topic, index)| self.has(topic, index)) {
            return Ok(()); // P2
        }
        let mut partitions = if is_ongoing { stored.partitions.clone() } else { Partitions::new() };
        for (topic, indexes) in &request.topics {
            partitions.entry(topic.clone()).or_default().extend(indexes);
        }
        let next = Stored {
            previous_producer_id: stored.producer_id,
            state: State::Ongoing,
            partitions,
            started_at_ms: stored.started_at_ms.filter(|_| is_ongoing).or(Some(turn.now.wall)),
            updated_at_ms: turn.now.wall,
            version: request.version,
            ..stored.clone()
        };
        self.append_if_it_fits(turn, next)
    }
}
