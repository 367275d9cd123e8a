//! One behaviour, whichever half is behind the door: each body runs on the operating system and in the simulator.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::future::Future;
use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use rt::channel::{mpsc, oneshot};
use rt::sim::Sim;
use rt::{Elapsed, Entry, FileSlice, Open, Rt};

/// Runs `body` on the operating system, in a temporary folder of its own.
fn on_the_system<F: Future<Output = ()>>(body: impl FnOnce(Rt, PathBuf) -> F) {
    rt::os::run(|rt| async move {
        let root = std::env::temp_dir().join(format!("rt-test-{:016x}", rt.random_u64()));
        rt.fs().create_dir_all(&root).unwrap();
        body(rt.clone(), root.clone()).await;
        rt.fs().remove_dir_all(&root).unwrap();
    })
    .unwrap();
}

/// Runs `body` on one node of a simulation, for several seeds.
fn simulated<F: Future<Output = ()>>(body: impl Fn(Rt, PathBuf) -> F) {
    for seed in 0..20 {
        let sim = Sim::new(seed);
        let rt = sim.node("n1");
        let root = PathBuf::from("/data");
        rt.fs().create_dir_all(&root).unwrap();
        sim.run(body(rt, root));
    }
}

/// Declares one test per half for each body.
macro_rules! both {
    ($($body:ident)*) => {
        mod system { $(#[test] fn $body() { super::on_the_system(super::$body) })* }
        mod simulator { $(#[test] fn $body() { super::simulated(super::$body) })* }
    };
}

both! {
    files_are_read_and_written_at_positions
    space_set_aside_is_no_part_of_a_file
    names_are_created_renamed_listed_and_removed
    errors_name_the_path_and_keep_their_kind
    a_lock_is_held_by_one
    a_file_is_replaced_atomically
    timers_wait_and_time_out
    tasks_run_finish_and_abort
    lanes_and_blocking_work_answer
    streams_carry_bytes_both_ways_and_end
    a_file_slice_is_sent_whole_or_fails
    a_peek_waits_for_bytes_or_the_end_and_takes_nothing
    a_peer_that_hangs_up_is_noticed_behind_its_unread_bytes
    a_read_that_is_given_up_leaves_the_buffer_as_it_was
    a_writer_waits_for_a_slow_reader
    nobody_listens
    randomness_differs
}

async fn files_are_read_and_written_at_positions(rt: Rt, root: PathBuf) {
    let path = root.join("a.log");
    let file = rt.fs().open(&path, Open::CreateNew).unwrap();
    file.write_all_at(
        &[IoSlice::new(b""), IoSlice::new(b"hello "), IoSlice::new(b""), IoSlice::new(b"world")],
        3,
    )
    .unwrap();
    assert_eq!(file.file_len().unwrap(), 14);
    let age = rt.wall_clock_ms() - rt.fs().modified_ms(&path).unwrap();
    assert!((-60_000..3_600_000).contains(&age), "written {age} ms ago, says the file");
    let mut bytes = [0xff; 20];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 14);
    assert_eq!(&bytes[..14], b"\0\0\0hello world");
    assert_eq!(file.read_at(&mut bytes, 14).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, 99).unwrap(), 0);
    file.set_len(8).unwrap();
    file.set_len(10).unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    rt.fs().sync_filesystem(&file).unwrap();
    assert_eq!(rt.fs().read(&path).unwrap(), b"\0\0\0hello\0\0");
    let read_only = rt.fs().open(&path, Open::Read).unwrap();
    assert!(read_only.write_all_at(&[IoSlice::new(b"x")], 0).is_err());
    let again = rt.fs().open(&path, Open::ReadWrite).unwrap();
    again.write_all_at(&[IoSlice::new(b"J")], 3).unwrap();
    let mut five = [0; 5];
    read_only.read_exact_at(&mut five, 3).unwrap();
    assert_eq!(&five, b"Jello");
    let free = rt.fs().free_bytes(&root).unwrap();
    assert!(0 < free && free <= rt.fs().total_bytes(&root).unwrap());
}

async fn space_set_aside_is_no_part_of_a_file(rt: Rt, root: PathBuf) {
    let file = rt.fs().open(&root.join("file"), Open::Create).unwrap();
    file.write_all_at(&[IoSlice::new(b"12345")], 0).unwrap();
    file.reserve(&(5..1 << 20)).unwrap();
    assert_eq!(file.file_len().unwrap(), 5);
    let mut buffer = [0; 16];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 5);
    file.write_all_at(&[IoSlice::new(b"678")], 5).unwrap();
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
    assert_eq!(&buffer[..8], b"12345678");
    file.set_len(8).unwrap();
    assert_eq!(file.file_len().unwrap(), 8);
}

async fn names_are_created_renamed_listed_and_removed(rt: Rt, root: PathBuf) {
    let fs = rt.fs();
    let (dir, other) = (root.join("b").join("deep"), root.join("c"));
    fs.create_dir_all(&dir).unwrap();
    fs.create_dir_all(&dir).unwrap();
    for name in ["2", "10", "1"] {
        fs.open(&dir.join(name), Open::Create).unwrap();
    }
    let kept = fs.open(&dir.join("1"), Open::ReadWrite).unwrap();
    kept.write_all_at(&[IoSlice::new(b"kept")], 0).unwrap();
    fs.rename(&dir.join("2"), &dir.join("3")).unwrap();
    fs.remove_file(&dir.join("1")).unwrap();
    fs.sync_dir(&dir).unwrap();
    let entry = |name: &str, is_dir| Entry { name: name.to_owned(), is_dir };
    assert_eq!(fs.read_dir(&dir).unwrap(), [entry("10", false), entry("3", false)]);
    let mut bytes = [0; 4];
    kept.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"kept", "an open file outlives its name");
    fs.rename(&root.join("b"), &other).unwrap();
    assert_eq!(fs.read_dir(&root).unwrap(), [entry("c", true)]);
    assert_eq!(fs.file_len(&other.join("deep").join("3")).unwrap(), 0);
    fs.remove_dir_all(&other).unwrap();
    assert!(!fs.exists(&other.join("deep")).unwrap());
    assert_eq!(fs.read_dir(&root).unwrap(), []);
}

#[track_caller]
fn check_error<T>(result: std::io::Result<T>, kind: ErrorKind, path: &Path) {
    let Err(err) = result else { panic!("no error for {}", path.display()) };
    assert_eq!(err.kind(), kind, "{err}");
    assert!(err.to_string().contains(&*path.to_string_lossy()), "the message names the path: {err}");
}

async fn errors_name_the_path_and_keep_their_kind(rt: Rt, root: PathBuf) {
    let fs = rt.fs();
    let missing = root.join("missing");
    check_error(fs.open(&missing, Open::Read), ErrorKind::NotFound, &missing);
    check_error(fs.open(&missing, Open::ReadWrite), ErrorKind::NotFound, &missing);
    check_error(fs.read(&missing), ErrorKind::NotFound, &missing);
    check_error(fs.read_dir(&missing), ErrorKind::NotFound, &missing);
    check_error(fs.remove_file(&missing), ErrorKind::NotFound, &missing);
    check_error(fs.remove_dir_all(&missing), ErrorKind::NotFound, &missing);
    check_error(fs.rename(&missing, &root.join("x")), ErrorKind::NotFound, &missing);
    check_error(fs.sync_dir(&missing), ErrorKind::NotFound, &missing);
    check_error(fs.file_len(&missing), ErrorKind::NotFound, &missing);
    check_error(fs.modified_ms(&missing), ErrorKind::NotFound, &missing);
    let inside_nothing = missing.join("file");
    check_error(fs.open(&inside_nothing, Open::Create), ErrorKind::NotFound, &inside_nothing);
    let here = root.join("here");
    let file = fs.open(&here, Open::CreateNew).unwrap();
    check_error(fs.open(&here, Open::CreateNew), ErrorKind::AlreadyExists, &here);
    check_error(file.read_exact_at(&mut [0; 1], 0), ErrorKind::UnexpectedEof, &here);
    check_error(fs.create_dir_all(&here.join("below")), ErrorKind::NotADirectory, &here);
}

async fn a_lock_is_held_by_one(rt: Rt, root: PathBuf) {
    let path = root.join(".lock");
    let lock = rt.fs().lock_exclusive(&path).unwrap();
    check_error(rt.fs().lock_exclusive(&path), ErrorKind::WouldBlock, &path);
    drop(lock);
    rt.fs().lock_exclusive(&path).unwrap();
}

async fn a_file_is_replaced_atomically(rt: Rt, root: PathBuf) {
    let path = root.join("checkpoint");
    rt.fs().write_atomically(&path, b"a longer first text").unwrap();
    rt.fs().write_atomically(&path, b"second").unwrap();
    assert_eq!(rt.fs().read(&path).unwrap(), b"second");
    assert_eq!(rt.fs().read_dir(&root).unwrap().len(), 1);
}

async fn timers_wait_and_time_out(rt: Rt, _root: PathBuf) {
    let start = rt.now();
    rt.sleep(Duration::from_millis(20)).await;
    assert!(Duration::from_millis(20) <= rt.now().saturating_since(start));
    rt.sleep_until(start).await;
    let never = std::future::pending::<()>();
    assert_eq!(rt.timeout(Duration::from_millis(1), never).await, Err(Elapsed));
    assert_eq!(rt.timeout(Duration::from_secs(600), async { 7 }).await, Ok(7));
    assert_eq!(rt.timeout(Duration::ZERO, async { 7 }).await, Ok(7));
    assert!(0 < rt.wall_clock_ms());
}

async fn tasks_run_finish_and_abort(rt: Rt, _root: PathBuf) {
    let (sender, mut receiver) = mpsc::channel(1);
    let stuck = {
        let sender = sender.clone();
        rt.spawn("stuck", async move {
            let _sender = sender;
            std::future::pending().await
        })
    };
    for number in 0..3 {
        let sender = sender.clone();
        rt.spawn("count", async move { sender.send(number).await.unwrap() });
    }
    drop(sender);
    let mut numbers = [receiver.recv().await, receiver.recv().await, receiver.recv().await];
    numbers.sort();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
    assert!(!stuck.is_finished());
    stuck.abort();
    assert_eq!(receiver.recv().await, None, "an aborted task's future is dropped");
    let (handle, own_handle) = oneshot::channel::<rt::Task>();
    let (alive, dead) = oneshot::channel::<()>();
    let suicide = rt.spawn("suicide", async move {
        own_handle.await.unwrap().abort();
        std::future::pending::<()>().await;
        drop(alive);
    });
    handle.send(suicide).unwrap();
    assert!(dead.await.is_err(), "a task that aborts itself ends when it next waits");
}

async fn lanes_and_blocking_work_answer(rt: Rt, root: PathBuf) {
    assert!(1 <= rt.lanes());
    for lane in 0..=rt.lanes() {
        let (done, is_done) = oneshot::channel();
        let (fs, path, inner) = (rt.fs().clone(), root.join(lane.to_string()), rt.clone());
        rt.spawn_on_lane(lane, "writer", async move {
            inner.sleep(Duration::from_millis(1)).await;
            fs.open(&path, Open::CreateNew).unwrap();
            done.send(lane).unwrap();
        });
        assert_eq!(is_done.await, Ok(lane));
    }
    let (fs, path) = (rt.fs().clone(), root.clone());
    let names = rt.blocking(move || fs.read_dir(&path).unwrap().len()).await;
    assert_eq!(names, rt.lanes() + 1);
}

/// Two ends of a new connection: the one that connected and the one that was accepted.
async fn connection(rt: &Rt) -> (rt::Stream, rt::Stream) {
    let listener = rt.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_ne!(address.port(), 0);
    let client = rt.connect("127.0.0.1", address.port()).await.unwrap();
    let server = listener.accept().await.unwrap();
    assert_eq!(client.peer_addr().unwrap(), address);
    assert_eq!(server.local_addr().unwrap(), address);
    assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    (client, server)
}

async fn read_to_end(stream: &rt::Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 777];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return bytes,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

async fn streams_carry_bytes_both_ways_and_end(rt: Rt, _root: PathBuf) {
    let (client, server) = connection(&rt).await;
    client.write_all_more(b"ques").await.unwrap();
    client.write_all(b"tion").await.unwrap();
    client.shutdown().unwrap();
    assert_eq!(read_to_end(&server).await, b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut buffer = BytesMut::with_capacity(100);
    while client.read_buf(&mut buffer).await.unwrap() != 0 {}
    assert_eq!(&buffer[..], b"answer");
}

async fn a_file_slice_is_sent_whole_or_fails(rt: Rt, root: PathBuf) {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let file = rt.fs().open(&root.join("segment"), Open::CreateNew).unwrap();
    file.write_all_at(&[IoSlice::new(&bytes)], 0).unwrap();
    let (client, server) = connection(&rt).await;
    let (sent, is_sent) = oneshot::channel();
    let slice = FileSlice { file: file.clone(), position: 10, len: 2_900_000, owner: None };
    rt.spawn("send", async move {
        server.write_all_more(b"head").await.unwrap();
        server.send_file(&slice).await.unwrap();
        let beyond = FileSlice { position: 2_999_990, len: 11, ..slice };
        let err = server.send_file(&beyond).await.unwrap_err();
        sent.send(err.kind()).unwrap();
    });
    let received = read_to_end(&client).await;
    assert_eq!(is_sent.await, Ok(ErrorKind::UnexpectedEof));
    assert_eq!(&received[..4], b"head");
    assert!(received[4..2_900_004] == bytes[10..2_900_010], "the slice arrives as it is in the file");
}

async fn a_peek_waits_for_bytes_or_the_end_and_takes_nothing(rt: Rt, _root: PathBuf) {
    let (client, server) = connection(&rt).await;
    let wait = Duration::from_millis(30);
    assert_eq!(rt.timeout(wait, server.peek(&mut [0])).await.err(), Some(Elapsed));
    client.write_all(b"x").await.unwrap();
    let mut first = [0; 4];
    assert_eq!(server.peek(&mut first).await.unwrap(), 1);
    assert_eq!(server.peek(&mut first).await.unwrap(), 1);
    assert_eq!(&first, b"x\0\0\0");
    assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 1);
    assert_eq!(rt.timeout(wait, server.peek(&mut [0])).await.err(), Some(Elapsed));
    drop(client);
    assert_eq!(server.peek(&mut first).await.unwrap(), 0);
    assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 0);
}

async fn a_peer_that_hangs_up_is_noticed_behind_its_unread_bytes(rt: Rt, _root: PathBuf) {
    let (client, server) = connection(&rt).await;
    let wait = Duration::from_millis(50);
    assert_eq!(rt.timeout(wait, server.hung_up()).await.err(), Some(Elapsed));
    for _ in 0..2 {
        client.write_all(b"unread").await.unwrap();
        assert_eq!(rt.timeout(wait, server.hung_up()).await.err(), Some(Elapsed), "it only sent something");
    }
    // What was seen and left can be read, as often as it takes, and what comes later is announced.
    server.peek(&mut [0]).await.unwrap();
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 1);
    let mut rest = BytesMut::with_capacity(4);
    while rest.len() < 11 {
        assert_ne!(server.read_buf(&mut rest).await.unwrap(), 0);
    }
    assert_eq!(rest, b"nreadunread"[..]);
    assert_eq!(rt.timeout(wait, server.peek(&mut [0])).await.err(), Some(Elapsed));
    client.write_all(b"more").await.unwrap();
    server.peek(&mut [0]).await.unwrap();
    drop(client);
    // It may come as a failure: some of what was sent to the peer it never read.
    let _ = server.hung_up().await;
}

async fn a_read_that_is_given_up_leaves_the_buffer_as_it_was(rt: Rt, _root: PathBuf) {
    let (near, far) = connection(&rt).await;
    let mut buffer = BytesMut::from(&b"before"[..]);
    assert!(rt.timeout(Duration::from_millis(5), far.read_buf(&mut buffer)).await.is_err());
    assert_eq!(buffer, &b"before"[..]);
    near.write_all(b"!").await.unwrap();
    assert_eq!(far.read_buf(&mut buffer).await.unwrap(), 1);
    assert_eq!(buffer, &b"before!"[..]);
}

async fn a_writer_waits_for_a_slow_reader(rt: Rt, _root: PathBuf) {
    let (client, server) = connection(&rt).await;
    let much = vec![7; 32 * 1024 * 1024];
    let (count, counted) = oneshot::channel();
    rt.spawn("read late", {
        let rt = rt.clone();
        async move {
            rt.sleep(Duration::from_millis(60)).await;
            count.send(read_to_end(&server).await.len()).unwrap();
        }
    });
    {
        let mut write = std::pin::pin!(client.write_all(&much));
        assert_eq!(rt.timeout(Duration::from_millis(20), write.as_mut()).await.err(), Some(Elapsed));
        write.await.unwrap();
    }
    drop(client);
    assert_eq!(counted.await, Ok(much.len()));
}

async fn nobody_listens(rt: Rt, _root: PathBuf) {
    let listener = rt.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = rt.listen(([127, 0, 0, 1], port).into()).await;
    assert_eq!(taken.err().map(|err| err.kind()), Some(ErrorKind::AddrInUse));
    drop(listener);
    let err = rt.connect("127.0.0.1", port).await.err().unwrap();
    assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
    assert!(err.to_string().contains(&port.to_string()), "{err}");
}

async fn randomness_differs(rt: Rt, _root: PathBuf) {
    assert_ne!(rt.random_bytes::<16>(), rt.random_bytes::<16>());
    assert_ne!(rt.random_u64(), rt.random_u64());
}
