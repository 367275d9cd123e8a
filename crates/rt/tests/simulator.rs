//! The simulator itself: what it promises about seeds, time, power cuts, deaths and the network.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rt::channel::{Notify, mpsc, watch};
use rt::sim::Sim;
use rt::{File, Open, Rt, Stream};

const SEEDS: std::ops::Range<u64> = 0..200;

fn append(rt: &Rt, path: &str, bytes: &[u8]) -> File {
    let file = rt.fs().open(Path::new(path), Open::Create).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], file.file_len().unwrap()).unwrap();
    file
}

fn read(rt: &Rt, path: &str) -> Option<Vec<u8>> {
    rt.fs().read(Path::new(path)).ok()
}

/// Some of everything: tasks that race, timers, files, sockets, watchers, a power cut.
fn busy_world(seed: u64) -> Sim {
    let sim = Sim::new(seed);
    let (server, client) = (sim.node("server"), sim.node("client"));
    sim.run(async {
        let listener = server.listen("0.0.0.0:9092".parse().unwrap()).await.unwrap();
        let (published, watched) = watch::channel(0);
        for number in 0..5 {
            let (rt, mut watched) = (server.clone(), watched.clone());
            server.spawn("watcher", async move {
                while watched.changed().await.is_ok() {
                    let seen = *watched.borrow_and_update();
                    append(&rt, &format!("/watcher-{number}"), &[seen]);
                }
            });
        }
        let serving = server.clone();
        server.spawn("serve", async move {
            let stream = listener.accept().await.unwrap();
            let mut byte = [0];
            while stream.read(&mut byte).await.unwrap() == 1 {
                published.send(byte[0]).unwrap();
                let fs = serving.fs().clone();
                serving.blocking(move || fs.read_dir(Path::new("/")).unwrap()).await;
            }
        });
        let stream = client.connect("server", 9092).await.unwrap();
        stream.write_all(&client.random_bytes::<20>()).await.unwrap();
        client.sleep(Duration::from_secs(1)).await;
        sim.power_cut("server");
    });
    sim
}

#[test]
fn a_seed_run_twice_gives_the_same_bytes_and_other_seeds_differ() {
    let mut hashes = BTreeSet::new();
    for seed in 0..10 {
        let (one, two) = (busy_world(seed), busy_world(seed));
        assert!(one.trace() == two.trace(), "seed {seed} differs from itself");
        assert_eq!(one.trace_hash(), two.trace_hash());
        hashes.insert(one.trace_hash());
    }
    assert_eq!(hashes.len(), 10);
}

#[test]
fn what_was_synced_survives_a_power_cut_and_what_was_not_may_go() {
    let mut fates = BTreeSet::new();
    for seed in SEEDS {
        let sim = Sim::new(seed);
        let rt = sim.node("n1");
        let file = append(&rt, "/log", b"synced");
        file.sync_data().unwrap();
        rt.fs().sync_dir(Path::new("/")).unwrap();
        append(&rt, "/log", b", not synced");
        sim.power_cut("n1");
        let after = read(&sim.node("n1"), "/log").unwrap();
        assert!(after.starts_with(b"synced"), "seed {seed}");
        fates.insert(after);
    }
    assert!(fates.contains(&b"synced"[..]), "all of it can be lost");
    assert!(fates.contains(&b"synced, not synced"[..]), "all of it can be kept");
    assert!(3 < fates.len(), "and anything between");
}

#[test]
fn a_kill_keeps_what_was_written_and_gives_locks_back() {
    let sim = Sim::new(1);
    let rt = sim.node("n1");
    let file = append(&rt, "/log", b"written");
    let lock = rt.fs().lock_exclusive(Path::new("/.lock")).unwrap();
    sim.kill("n1");
    let reborn = sim.node("n1");
    assert_eq!(read(&reborn, "/log").unwrap(), b"written");
    let _second = reborn.fs().lock_exclusive(Path::new("/.lock")).unwrap();
    // The dead life's handles do nothing, not even by being dropped.
    assert!(file.write_all_at(&[IoSlice::new(b"ghost")], 0).is_err());
    drop((file, lock));
    let taken = reborn.fs().lock_exclusive(Path::new("/.lock"));
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(read(&reborn, "/log").unwrap(), b"written");
}

#[test]
fn names_survive_in_the_order_they_changed_once_their_directory_was_synced() {
    let mut seen = BTreeSet::new();
    for seed in SEEDS {
        let sim = Sim::new(seed);
        let rt = sim.node("n1");
        append(&rt, "/a", b"a").sync_data().unwrap();
        rt.fs().sync_dir(Path::new("/")).unwrap();
        append(&rt, "/b", b"b").sync_data().unwrap();
        rt.fs().rename(Path::new("/b"), Path::new("/c")).unwrap();
        rt.fs().remove_file(Path::new("/a")).unwrap();
        sim.power_cut("n1");
        let names = sim.node("n1").fs().read_dir(Path::new("/")).unwrap();
        seen.insert(names.into_iter().map(|entry| entry.name).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a", "a b", "a c", "c"]);
}

#[test]
fn an_atomic_write_leaves_the_old_bytes_or_the_new_at_every_power_cut() {
    let (old, new) = (vec![1; 2000], vec![2; 3000]);
    let mut outcomes = BTreeSet::new();
    for seed in 0..20 {
        let total = {
            let sim = Sim::new(seed);
            let rt = sim.node("n1");
            rt.fs().write_atomically(Path::new("/checkpoint"), &old).unwrap();
            let before = sim.disk_ops("n1");
            rt.fs().write_atomically(Path::new("/checkpoint"), &new).unwrap();
            sim.disk_ops("n1") - before
        };
        for calls in 1..=total + 1 {
            let sim = Sim::new(seed);
            let rt = sim.node("n1");
            rt.fs().write_atomically(Path::new("/checkpoint"), &old).unwrap();
            sim.power_cut_after_disk_ops("n1", calls);
            let done = rt.fs().write_atomically(Path::new("/checkpoint"), &new).is_ok();
            assert_eq!(done, calls == total + 1);
            assert_eq!(sim.is_alive("n1"), done);
            sim.power_cut("n1");
            let after = read(&sim.node("n1"), "/checkpoint").unwrap();
            assert!(after == new || (!done && after == old), "seed {seed}, before call {calls}: {after:?}");
            outcomes.insert((done, after[0]));
        }
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), [(false, 1), (false, 2), (true, 2)]);
}

#[test]
fn sectors_are_lost_kept_or_torn_each_for_itself() {
    const SECTOR: usize = 512;
    let (mut torn, mut mixed, mut short) = (false, false, false);
    for seed in SEEDS {
        let sim = Sim::new(seed);
        let rt = sim.node("n1");
        let file = append(&rt, "/log", &[b'o'; 8 * SECTOR]);
        file.sync_data().unwrap();
        rt.fs().sync_dir(Path::new("/")).unwrap();
        file.write_all_at(&[IoSlice::new(&[b'n'; 8 * SECTOR])], 2 * SECTOR as u64).unwrap();
        sim.power_cut("n1");
        let after = read(&sim.node("n1"), "/log").unwrap();
        assert_eq!(after[..2 * SECTOR], [b'o'; 2 * SECTOR], "sectors not written stay");
        let sectors: Vec<&[u8]> = after[2 * SECTOR..].chunks(SECTOR).collect();
        let all = |sector: &[u8], byte| sector.iter().all(|other| *other == byte);
        torn |= sectors[..6].iter().any(|sector| !all(sector, b'o') && !all(sector, b'n'));
        mixed |= sectors[..6].windows(2).any(|pair| all(pair[0], b'o') && all(pair[1], b'n'));
        short |= 8 * SECTOR < after.len() && after.len() < 10 * SECTOR;
    }
    assert!(torn && mixed && short, "torn {torn}, mixed {mixed}, short {short}");
}

#[test]
fn a_cut_file_may_come_back_longer() {
    let mut lengths = BTreeSet::new();
    for seed in SEEDS {
        let sim = Sim::new(seed);
        let rt = sim.node("n1");
        let file = append(&rt, "/log", &[b'o'; 1000]);
        file.sync_data().unwrap();
        rt.fs().sync_dir(Path::new("/")).unwrap();
        file.set_len(300).unwrap();
        sim.power_cut("n1");
        let after = read(&sim.node("n1"), "/log").unwrap();
        assert_eq!(after[..300], [b'o'; 300]);
        lengths.insert(after.len());
    }
    assert!(lengths.contains(&300) && lengths.contains(&1000), "{lengths:?}");
}

#[test]
fn a_lying_or_failing_sync_makes_nothing_durable() {
    let mut lost = [false; 2];
    for seed in SEEDS {
        for (fault, lost) in lost.iter_mut().enumerate() {
            let sim = Sim::new(seed);
            let rt = sim.node("n1");
            rt.fs().sync_dir(Path::new("/")).unwrap();
            let file = append(&rt, "/log", b"text");
            rt.fs().sync_dir(Path::new("/")).unwrap();
            if fault == 0 {
                sim.disk("n1").sync_is_noop(true);
                file.sync_data().unwrap();
            } else {
                sim.disk("n1").fail_next_sync();
                assert!(file.sync_data().unwrap_err().to_string().contains("/log"));
                file.sync_data().unwrap();
            }
            sim.power_cut("n1");
            *lost |= read(&sim.node("n1"), "/log").unwrap() != b"text";
        }
    }
    assert_eq!(lost, [true; 2]);
}

#[test]
fn a_full_disk_takes_what_fits() {
    let sim = Sim::new(1);
    let rt = sim.node("n1");
    append(&rt, "/log", b"12345678");
    sim.disk("n1").set_free_bytes(3);
    let file = rt.fs().open(Path::new("/log"), Open::ReadWrite).unwrap();
    let err = file.write_all_at(&[IoSlice::new(b"abcdef")], 6).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::StorageFull);
    assert_eq!(read(&rt, "/log").unwrap(), b"123456abcde");
    assert_eq!(rt.fs().free_bytes(Path::new("/")).unwrap(), 0);
    file.set_len(1).unwrap();
    assert_eq!(rt.fs().free_bytes(Path::new("/")).unwrap(), 10);
}

#[test]
fn a_flipped_bit_is_read() {
    let sim = Sim::new(1);
    let rt = sim.node("n1");
    append(&rt, "/log", b"aaa");
    sim.disk("n1").flip_bit(Path::new("/log"), 1, 1).unwrap();
    assert_eq!(read(&rt, "/log").unwrap(), b"aca");
    assert!(sim.disk("n1").flip_bit(Path::new("/log"), 3, 0).is_err());
}

#[test]
fn waiting_costs_no_real_time() {
    let sim = Sim::new(1);
    let rt = sim.node("n1");
    let year = Duration::from_secs(365 * 24 * 3600);
    let wall = rt.wall_clock_ms();
    sim.run(rt.sleep(year));
    assert_eq!(rt.now().since_start(), year);
    assert_eq!(rt.wall_clock_ms() - wall, 365 * 24 * 3600 * 1000);
}

#[test]
#[should_panic(expected = "simulation with seed 77: nothing can happen any more, at 5s")]
fn a_deadlock_names_its_seed() {
    let sim = Sim::new(77);
    let rt = sim.node("n1");
    sim.run(async {
        rt.sleep(Duration::from_secs(5)).await;
        Notify::new().notified().await;
    });
}

#[test]
#[should_panic(expected = "simulation with seed 78: the steps ran out")]
fn a_livelock_names_its_seed() {
    let mut sim = Sim::new(78);
    sim.limit_steps(1000);
    let rt = sim.node("n1");
    rt.spawn("busy", {
        let rt = rt.clone();
        async move {
            loop {
                rt.sleep(Duration::from_millis(1)).await;
            }
        }
    });
    sim.run(std::future::pending::<()>());
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn power_that_goes_inside_a_task_ends_all_tasks_of_its_node_only() {
    let sim = Sim::new(1);
    let (rt, other) = (sim.node("n1"), sim.node("n2"));
    let dropped = [Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false))];
    for (rt, flag) in [(&rt, &dropped[0]), (&other, &dropped[1])] {
        let flag = SetOnDrop(flag.clone());
        rt.spawn("bystander", async move {
            let _flag = flag;
            std::future::pending().await
        });
    }
    let (report, mut reports) = mpsc::unbounded_channel();
    let writer = rt.spawn("writer", {
        let rt = rt.clone();
        async move {
            let file = append(&rt, "/log", b"1");
            report.send(file.sync_data().is_ok()).unwrap();
            report.send(file.write_all_at(&[IoSlice::new(b"2")], 1).is_ok()).unwrap();
            report.send(rt.fs().exists(Path::new("/log")).is_ok()).unwrap();
            rt.sleep(Duration::ZERO).await;
            rt.sleep(Duration::from_millis(1)).await;
            report.send(true).unwrap();
        }
    });
    sim.power_cut_after_disk_ops("n1", 4);
    sim.run(async {
        sim.death("n1").await;
        let mut said = Vec::new();
        while let Some(report) = reports.recv().await {
            said.push(report);
        }
        assert_eq!(said, [true, false, false], "the write fails, what follows fails, then the task ends");
    });
    assert!(writer.is_finished() && !sim.is_alive("n1") && sim.is_alive("n2"));
    assert_eq!(dropped.map(|flag| flag.load(Ordering::Relaxed)), [true, false]);
    assert!(rt.spawn("ghost", async {}).is_finished(), "the dead start nothing");
}

async fn connected(from: &Rt, to: &Rt, host: &str) -> (Stream, Stream) {
    let listener = to.listen("0.0.0.0:9092".parse().unwrap()).await.unwrap();
    let near = from.connect(host, 9092).await.unwrap();
    (near, listener.accept().await.unwrap())
}

#[test]
fn a_death_breaks_connections_after_what_had_arrived() {
    for death in [Sim::kill, Sim::power_cut] {
        let sim = Sim::new(3);
        let (a, b) = (sim.node("a"), sim.node("b"));
        sim.run(async {
            let (near, far) = connected(&a, &b, "b").await;
            far.write_all(b"last words").await.unwrap();
            a.sleep(Duration::from_millis(10)).await;
            death(&sim, "b");
            a.sleep(Duration::from_millis(10)).await;
            let mut buffer = [0; 10];
            let mut read = 0;
            while read < 10 {
                read += near.read(&mut buffer[read..]).await.unwrap();
            }
            assert_eq!(near.read(&mut buffer).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_eq!(near.write_all(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert!(far.write_all(b"ghost").await.is_err());
            let refused = a.connect("b", 9092).await.err().unwrap();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let (again, _far) = connected(&a, &sim.node("b"), &sim.ip("b").to_string()).await;
            again.write_all(b"x").await.unwrap();
        });
    }
}

#[test]
fn a_partition_holds_bytes_and_connections_until_it_heals() {
    let sim = Sim::new(4);
    let (a, b) = (sim.node("a"), sim.node("b"));
    sim.run(async {
        let (near, far) = connected(&a, &b, "b").await;
        let _listener = b.listen("0.0.0.0:9093".parse().unwrap()).await.unwrap();
        sim.network().partition("a", "b");
        near.write_all(b"x").await.unwrap();
        let wait = Duration::from_secs(60);
        assert!(b.timeout(wait, far.peek(&mut [0])).await.is_err());
        {
            let mut connect = std::pin::pin!(a.connect("b", 9093));
            assert!(a.timeout(wait, connect.as_mut()).await.is_err());
            sim.network().heal("b", "a");
            assert_eq!(far.read(&mut [0; 9]).await.unwrap(), 1);
            connect.await.unwrap();
        }
        sim.network().reset("a", "b");
        assert_eq!(near.read(&mut [0; 9]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_message_takes_the_time_it_was_given() {
    let sim = Sim::new(5);
    let (a, b) = (sim.node("a"), sim.node("b"));
    let latency = Duration::from_millis(40);
    sim.network().set_latency(latency..=latency);
    sim.disk("a").set_latency(latency..=latency);
    sim.run(async {
        let (near, far) = connected(&a, &b, "b").await;
        assert_eq!(a.now().since_start(), 2 * latency, "there and back");
        near.write_all(b"x").await.unwrap();
        far.peek(&mut [0]).await.unwrap();
        assert_eq!(a.now().since_start(), 3 * latency);
        a.blocking(|| ()).await;
        assert_eq!(a.now().since_start(), 5 * latency);
    });
}
