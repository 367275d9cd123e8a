//! What time does: transactions open for too long are aborted, ids that nobody uses are forgotten.

use crate::action::Action;
use crate::record::Record;
use crate::stored::State;
use crate::transaction::Transaction;
use crate::turn::Turn;

/// The timeout of transactions that another coordinator decides: they have none.
const NO_TIMEOUT: i32 = i32::MAX;

impl Transaction {
    /// Aborts the transaction if it has been open for too long, and fences its producer.
    pub fn abort_if_timed_out(&mut self, turn: &mut Turn<'_>) {
        let is_late = self.deadline_ms.is_some_and(|deadline| deadline < turn.now.monotonic);
        if is_late && self.stored().state == State::Ongoing && self.stored().timeout_ms != NO_TIMEOUT {
            self.fence(turn);
        }
    }

    /// Writes the tombstone of an id that nobody has used for too long; it is to be dropped then.
    pub fn bury_if_expired(&self, turn: &mut Turn<'_>) -> bool {
        let idle_ms = turn.now.wall.saturating_sub(self.stored().updated_at_ms);
        let is_expired = u64::try_from(idle_ms).is_ok_and(|idle_ms| turn.config.expiration_ms <= idle_ms);
        let is_buried = is_expired && self.stored().state.is_idle();
        if is_buried {
            let tombstone = Record { transactional_id: self.id.clone(), value: None };
            turn.actions.push(Action::Append(vec![tombstone.encode(turn.config.level)]));
        }
        is_buried
    }
}
