//! A group of workers that carry one topic into one table, a message a row.
//!
//! - C1 The group's way is [`sink::Worker`]'s: rows and offsets in one transaction. Here is only who works when.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::Record;
use serde_json::Value as Json;
use sink::{
    Begin, Column, ColumnType, Definition, NewRow, Note, Refused, Rows, Schema, Source, Target as _, Value,
    Worker,
};

use crate::error::DemoError;
use crate::feed::Feed;
use crate::group::Group;
use crate::member::Member;
use crate::stage::Stage;

/// Fills in the columns after the first of a message's row; none where the message does not have them.
pub(crate) type ToRow = fn(&Json, &mut NewRow<'_>) -> Option<()>;

/// What a group does.
pub(crate) struct Role {
    pub(crate) group: &'static str,
    pub(crate) table: &'static str,
    /// The columns after the first one, which is the message's `id`.
    pub(crate) columns: &'static [(&'static str, ColumnType)],
    pub(crate) to_row: ToRow,
}

/// A group at work.
pub(crate) struct Crew {
    definition: Definition,
    schema: Schema,
    to_row: ToRow,
    group: Arc<Group>,
    members: BTreeMap<usize, Member>,
    hired: usize,
}

impl Crew {
    /// The group, with nobody in it yet.
    pub(crate) fn new(stage: &Stage, role: &Role, feed: &Arc<Feed>) -> Result<Crew, DemoError> {
        let id = ("id", ColumnType::Bigint);
        let column = |&(name, kind): &(&str, ColumnType)| Column {
            name: name.to_owned(),
            source: Source::Field(vec![name.to_owned()]),
            kind,
            required: true,
        };
        let columns = [id].iter().chain(role.columns).map(column).collect();
        let name = stage.sink_name(role.group);
        let database = stage.plan.database.clone();
        let mut definition =
            Definition::new(&name, vec![feed.topic().clone()], role.table, columns, database);
        definition.group = role.group.to_owned();
        definition.begin = Begin::Latest;
        definition.session_timeout = stage.plan.session_timeout;
        let schema = definition.schema(Vec::new()).map_err(DemoError::Stuck)?;
        let group = Arc::new(Group::default());
        stage.board.add_group(role.group, Some(role.table), feed, &group);
        Ok(Crew { definition, schema, to_row: role.to_row, group, members: BTreeMap::new(), hired: 0 })
    }

    /// How it is watched.
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Starts one worker more; returns its number, counted from 1.
    pub(crate) async fn hire(&mut self, stage: &Stage) -> Result<usize, DemoError> {
        let rt = stage.rt.clone();
        let mut target = sinks::open(&rt, &self.definition).await?;
        let schema = target.prepare(&self.schema).await?;
        let client = sinks::connect(&rt, stage.plan.bootstrap.clone(), &self.definition.name).await?;
        self.hired += 1;
        let (number, group) = (self.hired, self.group.clone());
        let noted = {
            let (rt, group) = (rt.clone(), group.clone());
            move |note| watch(&rt, &group, number, note)
        };
        let transform = transform(self.to_row);
        let worker = Worker::start(&client, self.definition.clone(), schema, transform, target, noted);
        let member = Member::start(&rt, |stop| async move {
            if let Err(error) = worker.run(async { drop(stop.await) }).await {
                group.fail(format!("worker {number}: {error}"));
            }
            group.remove(number);
        });
        self.members.insert(number, member);
        Ok(number)
    }

    /// Ends a worker without a goodbye: the group hears of it when its session times out.
    pub(crate) fn kill(&mut self, stage: &Stage, number: usize) {
        if self.members.remove(&number).is_some() {
            self.group.kill(number, stage.rt.now());
        }
    }

    /// Lets everybody go.
    pub(crate) async fn dismiss(mut self) {
        while let Some((_, member)) = self.members.pop_first() {
            member.stop().await;
        }
    }
}

/// What a worker says, on the board.
fn watch(rt: &rt::Rt, group: &Group, number: usize, note: Note) {
    if let Note::Assigned(places) = &note {
        group.assign(number, places);
    } else if let Note::Revoked = &note {
        group.revoke(number);
    } else if let Note::Begun { place, next } = &note {
        group.begin(place, *next, rt.now());
    } else if let Note::Committed { offsets, .. } = &note {
        offsets.iter().for_each(|(place, next)| group.advance(place, *next));
    } else if let Note::Stopped { place, reason } = note {
        group.fail(format!("{place} waits: {reason}"));
    }
}

/// Rows of messages, which are JSON objects with an `id`.
fn transform(to_row: ToRow) -> impl FnMut(&[Record], &mut Rows) -> Vec<Refused> + Send + 'static {
    move |records, rows| {
        let mut refused = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let mut row = rows.begin();
            if fill(record, to_row, &mut row).is_none() {
                row.discard();
                refused.push(Refused { index, problem: "it is no message of this demo".to_owned() });
            }
        }
        refused
    }
}

fn fill(record: &Record, to_row: ToRow, row: &mut NewRow<'_>) -> Option<()> {
    let message: Json = serde_json::from_slice(record.value.as_deref()?).ok()?;
    row.set(0, Value::Bigint(message["id"].as_i64()?));
    to_row(&message, row)
}
