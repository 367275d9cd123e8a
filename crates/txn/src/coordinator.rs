//! The state machine of one partition of `__transaction_state`: events in, actions out.
//!
//! - C1 A step depends on nothing but the coordinator, the event and the time given: the same events give the same
//!   actions.
//! - C2 What the log holds is all that outlives the coordinator; `replay` of every record appended gives it back, and the
//!   markers of what had ended are written again.
//!
//! Finds the transaction an event is for; the rules are in [`crate::transaction`] and its neighbours.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use model::{ErrorCode, NowMs, Ticket, limits};
use wire::RecordError;

use crate::action::{Action, Reply};
use crate::config::{TxnConfig, VersionLevel};
use crate::event::{AddPartitionsRequest, EndRequest, Event, InitRequest, ListRequest, MarkersTicket};
use crate::record::Record;
use crate::stored::{Stored, TransactionalId};
use crate::transaction::Transaction;
use crate::turn::Turn;

/// All transactional ids of one partition of `__transaction_state`.
///
/// The driver replays the partition's records, steps [`Event::Loaded`], then steps each request as it comes and
/// [`Event::Tick`] whenever [`Coordinator::next_deadline`] has passed. When a write fails or the partition moves, it
/// drops the coordinator and answers what is pending itself (NOT_COORDINATOR).
#[derive(Debug)]
pub struct Coordinator {
    config: TxnConfig,
    transactions: BTreeMap<TransactionalId, Transaction>,
    next_markers: u64,
    /// When transactions are next looked through for those open too long, and ids for those not used.
    next_abort_ms: u64,
    next_remove_ms: u64,
}

impl Coordinator {
    /// A coordinator of an empty partition.
    pub fn new(config: TxnConfig) -> Coordinator {
        Coordinator {
            config,
            transactions: BTreeMap::new(),
            next_markers: 0,
            next_abort_ms: 0,
            next_remove_ms: 0,
        }
    }

    /// Follows the cluster's feature; see [`TxnConfig::level`].
    pub fn set_level(&mut self, level: VersionLevel) {
        self.config.level = level;
    }

    /// Takes over one record of the log, in offset order, before [`Event::Loaded`].
    ///
    /// Records of other types are passed over. On an error nothing has changed.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        let Some(Record { transactional_id: id, value }) = Record::decode(key, value)? else { return Ok(()) };
        match value {
            None => drop(self.transactions.remove(&id)),
            Some(stored) => match self.transactions.entry(id) {
                Entry::Occupied(mut known) => known.get_mut().apply(stored),
                Entry::Vacant(unknown) => {
                    let transaction = Transaction::new(unknown.key().clone(), stored);
                    unknown.insert(transaction);
                }
            },
        }
        Ok(())
    }

    /// When [`Event::Tick`] has something to do, in monotonic ms.
    pub fn next_deadline(&self) -> Option<u64> {
        (!self.transactions.is_empty()).then_some(self.next_abort_ms.min(self.next_remove_ms))
    }

    /// Takes one event and says what is to be done, in order. Never fails, never blocks.
    pub fn step(&mut self, now: NowMs, event: Event) -> Vec<Action> {
        let Coordinator { config, transactions, next_markers, next_abort_ms, next_remove_ms } = self;
        let turn = Turn { now, config, next_markers, actions: Vec::new() };
        let mut step = Step { transactions, next_abort_ms, next_remove_ms, turn };
        match event {
            Event::Loaded => step.on_loaded(),
            Event::Init(ticket, request) => step.on_init(ticket, &request),
            Event::AddPartitions(ticket, request) => step.on_add_partitions(ticket, &request),
            Event::End(ticket, request) => step.on_end(ticket, &request),
            Event::MarkersWritten(id, markers) => step.on_markers_written(&id, markers),
            Event::Describe(ticket, ids) => step.on_describe(ticket, ids),
            Event::List(ticket, request) => step.on_list(ticket, &request),
            Event::Tick => step.on_tick(),
        }
        step.turn.actions
    }
}

/// One step in the making: the transactions beside what a [`Turn`] has.
struct Step<'a> {
    transactions: &'a mut BTreeMap<TransactionalId, Transaction>,
    next_abort_ms: &'a mut u64,
    next_remove_ms: &'a mut u64,
    turn: Turn<'a>,
}

impl Step<'_> {
    fn on_loaded(&mut self) {
        *self.next_abort_ms = self.turn.now.monotonic.saturating_add(self.turn.config.abort_interval_ms);
        *self.next_remove_ms = self.turn.now.monotonic.saturating_add(self.turn.config.remove_interval_ms);
        for transaction in self.transactions.values_mut() {
            transaction.restore(&mut self.turn);
        }
    }

    fn on_init(&mut self, ticket: Ticket, request: &InitRequest) {
        if let Err(error) = self.check_init(request) {
            self.turn.refuse_init(ticket, error);
            return;
        }
        let id = request.transactional_id.clone();
        let is_full = self.turn.config.ids_max <= self.transactions.len();
        let transaction = match self.transactions.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => {
                // Memory is bounded: expiration makes room again.
                self.turn.refuse_init(ticket, ErrorCode::CoordinatorNotAvailable);
                return;
            }
            Entry::Vacant(unknown) => {
                let Some(fresh) = request.fresh else {
                    self.turn.reply(ticket, Reply::NeedsProducerId);
                    return;
                };
                let stored = Stored::new(fresh, request.timeout_ms, self.turn.now.wall);
                let transaction = Transaction::new(unknown.key().clone(), stored);
                unknown.insert(transaction)
            }
        };
        transaction.on_init(&mut self.turn, ticket, request);
    }

    fn check_init(&self, request: &InitRequest) -> Result<(), ErrorCode> {
        if !is_storable(&request.transactional_id) {
            Err(ErrorCode::InvalidRequest)
        } else if request.timeout_ms <= 0 || self.turn.config.timeout_ms_max < request.timeout_ms {
            Err(ErrorCode::InvalidTransactionTimeout)
        } else {
            Ok(())
        }
    }

    fn on_add_partitions(&mut self, ticket: Ticket, request: &AddPartitionsRequest) {
        if !is_storable(&request.transactional_id) {
            self.turn.reply(ticket, request.all(ErrorCode::InvalidRequest));
        } else if let Some(transaction) = self.transactions.get_mut(&request.transactional_id) {
            transaction.on_add_partitions(&mut self.turn, ticket, request);
        } else {
            self.turn.reply(ticket, request.all(ErrorCode::InvalidProducerIdMapping));
        }
    }

    fn on_end(&mut self, ticket: Ticket, request: &EndRequest) {
        if !is_storable(&request.transactional_id) {
            self.turn.refuse_end(ticket, ErrorCode::InvalidRequest);
        } else if let Some(transaction) = self.transactions.get_mut(&request.transactional_id) {
            transaction.on_end(&mut self.turn, ticket, request);
        } else {
            self.turn.refuse_end(ticket, ErrorCode::InvalidProducerIdMapping);
        }
    }

    fn on_markers_written(&mut self, id: &TransactionalId, markers: MarkersTicket) {
        if let Some(transaction) = self.transactions.get_mut(id) {
            transaction.on_markers_written(&mut self.turn, markers);
        }
    }

    fn on_describe(&mut self, ticket: Ticket, ids: Vec<TransactionalId>) {
        let described = |id: TransactionalId| {
            let transaction = self.transactions.get(&id).map(Transaction::describe);
            (id, transaction)
        };
        let reply = ids.into_iter().map(described).collect();
        self.turn.reply_durable(ticket, Reply::Describe(reply));
    }

    fn on_list(&mut self, ticket: Ticket, request: &ListRequest) {
        let now_ms = self.turn.now.wall;
        let wanted = self.transactions.values().filter(|transaction| request.wants(transaction, now_ms));
        let reply = wanted.map(Transaction::list).collect();
        self.turn.reply_durable(ticket, Reply::List(reply));
    }

    fn on_tick(&mut self) {
        let now = self.turn.now.monotonic;
        if *self.next_abort_ms <= now {
            for transaction in self.transactions.values_mut() {
                transaction.abort_if_timed_out(&mut self.turn);
            }
            *self.next_abort_ms = now.saturating_add(self.turn.config.abort_interval_ms);
        }
        if *self.next_remove_ms <= now {
            self.transactions.retain(|_, transaction| !transaction.bury_if_expired(&mut self.turn));
            *self.next_remove_ms = now.saturating_add(self.turn.config.remove_interval_ms);
        }
    }
}

/// An id that a record can carry, and that says something.
fn is_storable(id: &TransactionalId) -> bool {
    !id.as_str().is_empty() && id.as_str().len() <= limits::TRANSACTIONAL_ID_BYTES_MAX
}

#[cfg(test)]
impl Coordinator {
    /// What the log says, for comparison with a replay of it.
    pub(crate) fn persistent(&self) -> BTreeMap<TransactionalId, Stored> {
        self.transactions.iter().map(|(id, transaction)| (id.clone(), transaction.stored().clone())).collect()
    }

    /// Checks what the module docs of `transaction` promise.
    pub(crate) fn assert_invariants(&self) {
        self.transactions.values().for_each(Transaction::assert_invariants);
    }
}
