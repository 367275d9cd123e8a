//! A server with a toy service behind it, on the operating system and in the simulator.
//!
//! A toy request is one letter, a number that names it, and text. The letter says how it is answered:
//! `p` pipelined, after some milliseconds; `b` the same as a barrier; `w` and patient; `q` pipelined, without an answer;
//! `f` with a part of a file; `s` with a part that the file does not have; `c` by closing; `h` never.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::future::Future;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use net::{Admission, Class, ConnectionLimits, Limits, Outcome, Piece, Response, Server, Service, Started};
use rt::channel::{oneshot, watch};
use rt::sim::Sim;
use rt::{File, FileSlice, Open, Rt, Stream};

const FILE: &[u8] = b"bytes of a file that is larger than what a socket takes at once";
const FILE_COPIES: usize = 40_000;

#[derive(Clone)]
struct Toy {
    rt: Rt,
    file: File,
    trace: Trace,
}

#[derive(Clone, Default)]
struct Trace(watch::Sender<Vec<String>>);

impl Trace {
    fn add(&self, line: String) {
        self.0.send_modify(|lines| lines.push(line));
    }

    fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }

    /// Waits until there are `count` lines.
    async fn grown_to(&self, count: usize) {
        self.0.subscribe().wait_for(|lines| count <= lines.len()).await.unwrap();
    }
}

/// Tells the trace when its connection ends.
struct ToyConnection(Trace);

impl Drop for ToyConnection {
    fn drop(&mut self) {
        self.0.add("end".to_owned());
    }
}

struct ToyRequest {
    kind: u8,
    number: u8,
    wait: Duration,
}

impl ToyRequest {
    fn parse(frame: &[u8]) -> ToyRequest {
        let [kind, number, wait, ..] = *frame else { panic!("a toy request has three bytes") };
        ToyRequest { kind, number, wait: Duration::from_millis(u64::from(wait) * 10) }
    }

    fn bytes(kind: char, number: u8, tens_of_ms: u8, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; 4 + size.max(3)];
        bytes[..4].copy_from_slice(&i32::try_from(size.max(3)).unwrap().to_be_bytes());
        bytes[4..7].copy_from_slice(&[kind as u8, number, tens_of_ms]);
        bytes
    }
}

fn answer(number: u8, rest: &[u8]) -> Vec<u8> {
    let size = i32::try_from(1 + rest.len()).unwrap();
    [&size.to_be_bytes()[..], &[number], rest].concat()
}

impl Toy {
    fn later(&self, request: &ToyRequest) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        let (rt, trace, number, wait) = (self.rt.clone(), self.trace.clone(), request.number, request.wait);
        self.rt.spawn("toy", async move {
            rt.sleep(wait).await;
            trace.add(format!("done {number}"));
            // The connection may have ended.
            let _ = done.send(());
        });
        is_done
    }

    fn with_file(&self, number: u8, position: u64, len: u64) -> Response {
        let size = u32::try_from(1 + len + 3).unwrap();
        let slice = FileSlice { file: self.file.clone(), position, len, owner: None };
        let head = [&size.to_be_bytes()[..], &[number]].concat();
        [Piece::Bytes(head.into()), Piece::File(slice), Piece::Bytes(Bytes::from_static(b"end"))]
            .into_iter()
            .collect()
    }
}

impl Service for Toy {
    type Connection = ToyConnection;

    fn connected(&self, peer: SocketAddr, local: SocketAddr, listener: &Arc<str>) -> ToyConnection {
        assert_ne!(peer, local);
        assert_eq!(&**listener, "toys");
        ToyConnection(self.trace.clone())
    }

    fn class(&self, frame: &[u8]) -> Class {
        match ToyRequest::parse(frame).kind {
            b'p' | b'q' => Class::Pipelined,
            b'w' => Class::Patient,
            _ => Class::Barrier,
        }
    }

    async fn call(&self, _connection: &mut ToyConnection, frame: Bytes) -> Started {
        let request = ToyRequest::parse(&frame);
        let number = request.number;
        self.trace.add(format!("start {number}"));
        let len = u64::try_from(FILE.len() * FILE_COPIES).unwrap();
        Started::Done(match request.kind {
            b'p' => {
                let done = self.later(&request);
                return Started::Waiting(Box::pin(async move {
                    done.await.unwrap();
                    // The request's bytes are held until now.
                    drop(frame);
                    Outcome::Reply(Bytes::from(answer(number, b"")).into())
                }));
            }
            b'b' | b'w' => {
                self.later(&request).await.unwrap();
                Outcome::Reply(Bytes::from(answer(number, b"")).into())
            }
            b'q' => Outcome::NoReply,
            b'f' => Outcome::Reply(self.with_file(number, 5, len - 5)),
            b's' => Outcome::Reply(self.with_file(number, 5, len - 4)),
            b'c' => Outcome::Close("it asked for that".into()),
            b'h' => std::future::pending().await,
            other => panic!("no toy request is called {other}"),
        })
    }
}

/// A server on some half of `rt`, and what its service saw.
async fn toy_server(rt: &Rt, root: PathBuf, limits: Limits) -> (Server<Toy>, Trace) {
    toy_server_for(rt, root, limits, Admission::new(ConnectionLimits::default())).await
}

async fn toy_server_for(
    rt: &Rt,
    root: PathBuf,
    limits: Limits,
    admission: Admission,
) -> (Server<Toy>, Trace) {
    let file = rt.fs().open(&root.join("file"), Open::Create).unwrap();
    file.write_all_at(&[IoSlice::new(&FILE.repeat(FILE_COPIES))], 0).unwrap();
    let trace = Trace::default();
    let toy = Toy { rt: rt.clone(), file, trace: trace.clone() };
    let mut bound = net::bind(rt, "toys", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    bound.extend(net::bind(rt, "toys", "[::1]:0".parse().unwrap()).await.unwrap());
    let server = Server::start(rt, bound, limits, admission, toy);
    assert_eq!(server.addresses().len(), 2);
    (server, trace)
}

async fn connect(rt: &Rt, server: &Server<Toy>) -> Stream {
    let address = server.addresses()[0];
    rt.connect(&address.ip().to_string(), address.port()).await.unwrap()
}

async fn read_exact(stream: &Stream, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut read = 0;
    while read < len {
        match stream.read(&mut bytes[read..]).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read += count,
        }
    }
    Some(bytes)
}

/// The next answer's number and text; nothing when the connection ends first.
async fn read_answer(stream: &Stream) -> Option<(u8, Vec<u8>)> {
    let size = read_exact(stream, 4).await?;
    let size = u32::from_be_bytes(size.try_into().unwrap());
    let mut answer = read_exact(stream, usize::try_from(size).unwrap()).await?;
    Some((answer.remove(0), answer))
}

/// Sends a script such as `p1:30 b2:0 c3` (letter, number, tens of ms) and returns the numbers answered until the
/// connection ended or all were.
async fn play(stream: &Stream, script: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut owed = 0;
    for word in script.split_whitespace() {
        let (kind, rest) = word.split_at(1);
        let (number, wait) = rest.split_once(':').unwrap_or((rest, "0"));
        let kind = kind.chars().next().unwrap();
        bytes.extend(ToyRequest::bytes(kind, number.parse().unwrap(), wait.parse().unwrap(), 3));
        owed += usize::from(kind != 'q');
    }
    stream.write_all(&bytes).await.unwrap();
    let mut answers = Vec::new();
    while answers.len() < owed {
        match read_answer(stream).await {
            Some((number, _)) => answers.push(number),
            None => break,
        }
    }
    answers
}

fn on_the_system<F: Future<Output = ()>>(body: impl FnOnce(Rt, PathBuf) -> F) {
    rt::os::run(|rt| async move {
        let root = std::env::temp_dir().join(format!("net-test-{:016x}", rt.random_u64()));
        rt.fs().create_dir_all(&root).unwrap();
        body(rt.clone(), root.clone()).await;
        rt.fs().remove_dir_all(&root).unwrap();
    })
    .unwrap();
}

fn simulated<F: Future<Output = ()>>(body: impl Fn(Rt, PathBuf) -> F) {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        sim.run(body(sim.node("n1"), PathBuf::from("/")));
    }
}

macro_rules! both {
    ($($body:ident)*) => {
        mod system { $(#[test] fn $body() { super::on_the_system(super::$body) })* }
        mod simulator { $(#[test] fn $body() { super::simulated(super::$body) })* }
    };
}

both! {
    answers_leave_in_the_order_of_requests
    a_barrier_starts_alone
    a_file_is_part_of_an_answer
    a_close_comes_after_the_answers_before_it
    a_bad_size_closes_only_its_connection
    a_reader_that_does_not_read_stalls_only_itself
    a_peer_that_goes_ends_its_patient_call_and_no_other
    half_sent_requests_cost_others_nothing
    a_stop_answers_what_was_started
    a_listener_comes_and_goes_while_another_serves
}

async fn answers_leave_in_the_order_of_requests(rt: Rt, root: PathBuf) {
    let (server, trace) = toy_server(&rt, root, Limits::default()).await;
    let stream = connect(&rt, &server).await;
    assert_eq!(play(&stream, "p1:9 p2:3 q3 p4:6 b5 p6:1 f7 p8 p9").await, [1, 2, 4, 5, 6, 7, 8, 9]);
    let starts: Vec<String> = trace.lines().into_iter().filter(|line| line.starts_with("start")).collect();
    let numbers: Vec<String> = (1..=9).map(|number| format!("start {number}")).collect();
    assert_eq!(starts, numbers, "calls start in the order they came");
}

async fn a_barrier_starts_alone(rt: Rt, root: PathBuf) {
    let (server, trace) = toy_server(&rt, root, Limits::default()).await;
    let stream = connect(&rt, &server).await;
    assert_eq!(play(&stream, "p1:20 p2:4 b3:1 p4:20 p5:4").await, [1, 2, 3, 4, 5]);
    let expected = [
        "start 1", "start 2", "done 2", "done 1", "start 3", "done 3", "start 4", "start 5", "done 5",
        "done 4",
    ];
    assert_eq!(trace.lines(), expected);
}

async fn a_file_is_part_of_an_answer(rt: Rt, root: PathBuf) {
    let (server, _) = toy_server(&rt, root, Limits::default()).await;
    let stream = connect(&rt, &server).await;
    stream.write_all(&ToyRequest::bytes('f', 1, 0, 3)).await.unwrap();
    stream.write_all(&ToyRequest::bytes('s', 2, 0, 3)).await.unwrap();
    let (number, text) = read_answer(&stream).await.unwrap();
    assert_eq!(number, 1);
    assert!(text == [&FILE.repeat(FILE_COPIES)[5..], b"end"].concat(), "the slice between head and end");
    assert_eq!(read_answer(&stream).await, None, "a short slice ends the connection");
}

async fn a_close_comes_after_the_answers_before_it(rt: Rt, root: PathBuf) {
    let (server, trace) = toy_server(&rt, root, Limits::default()).await;
    let stream = connect(&rt, &server).await;
    assert_eq!(play(&stream, "p1:5 p2 c3 p4").await, [1, 2]);
    assert_eq!(trace.count("start 4"), 0);
    server.stop(Duration::from_secs(5)).await;
    assert_eq!(trace.count("end"), 1);
}

async fn a_bad_size_closes_only_its_connection(rt: Rt, root: PathBuf) {
    let (server, _) = toy_server(&rt, root, Limits::default()).await;
    let good = connect(&rt, &server).await;
    for size in [-1, i32::MIN, i32::MAX] {
        let bad = connect(&rt, &server).await;
        bad.write_all(&size.to_be_bytes()).await.unwrap();
        assert_eq!(read_answer(&bad).await, None);
    }
    assert_eq!(play(&good, "b1").await, [1]);
}

async fn a_reader_that_does_not_read_stalls_only_itself(rt: Rt, root: PathBuf) {
    let (server, trace) = toy_server(&rt, root, Limits::default()).await;
    let (slow, other) = (connect(&rt, &server).await, connect(&rt, &server).await);
    // Its answers are 2.5 MB each: far more than sockets hold.
    let many: Vec<u8> = (0..12).flat_map(|_| ToyRequest::bytes('f', 1, 0, 3)).collect();
    slow.write_all(&many).await.unwrap();
    for _ in 0..20 {
        assert_eq!(play(&other, "b2:1").await, [2]);
    }
    let started = trace.count("start 1");
    assert!(started < 12, "{started} answers were begun for a peer that reads none");
    for _ in 0..12 {
        assert_eq!(read_answer(&slow).await.map(|(number, _)| number), Some(1));
    }
}

async fn a_peer_that_goes_ends_its_patient_call_and_no_other(rt: Rt, root: PathBuf) {
    let (server, trace) = toy_server(&rt, root, Limits::default()).await;
    for (kind, left_over) in [('w', &b""[..]), ('w', b"\0\0"), ('b', b"")] {
        let before = trace.lines().len();
        let stream = connect(&rt, &server).await;
        stream.write_all(&[&ToyRequest::bytes(kind, 1, 30, 3), left_over].concat()).await.unwrap();
        trace.grown_to(before + 1).await;
        drop(stream);
        trace.grown_to(before + 3).await;
        let ends = if kind == 'w' { ["start 1", "end", "done 1"] } else { ["start 1", "done 1", "end"] };
        assert_eq!(trace.lines()[before..], ends, "{kind} {left_over:?}");
    }
}

async fn half_sent_requests_cost_others_nothing(rt: Rt, root: PathBuf) {
    let limits = Limits { pool_bytes: 512 * 1024, reserve_bytes: 16 * 1024, ..Limits::default() };
    let announced = i32::try_from(limits.request_bytes_max).unwrap();
    let (server, _) = toy_server(&rt, root, limits).await;
    let mut hostile = Vec::new();
    for _ in 0..50 {
        let stream = connect(&rt, &server).await;
        stream.write_all(&[&announced.to_be_bytes()[..], b"and ten more"].concat()).await.unwrap();
        hostile.push(stream);
    }
    let good = connect(&rt, &server).await;
    assert_eq!(play(&good, "b1 p2 p3").await, [1, 2, 3], "small requests have their own");
    good.write_all(&ToyRequest::bytes('b', 1, 0, 50_000)).await.unwrap();
    assert_eq!(read_answer(&good).await, Some((1, vec![])));
}

async fn a_stop_answers_what_was_started(rt: Rt, root: PathBuf) {
    let (server, trace) = toy_server(&rt, root, Limits::default()).await;
    let address = server.addresses()[0];
    let (busy, idle) = (connect(&rt, &server).await, connect(&rt, &server).await);
    assert_eq!(play(&idle, "b1").await, [1]);
    let before = trace.lines().len();
    busy.write_all(&ToyRequest::bytes('p', 2, 10, 3)).await.unwrap();
    trace.grown_to(before + 1).await;
    assert!(server.stop(Duration::from_secs(60)).await);
    assert_eq!(read_answer(&busy).await, Some((2, vec![])));
    assert_eq!(read_answer(&busy).await, None);
    assert_eq!(read_answer(&idle).await, None);
    assert!(rt.connect("127.0.0.1", address.port()).await.is_err());
    assert_eq!(trace.count("end"), 2);
}

async fn a_listener_comes_and_goes_while_another_serves(rt: Rt, root: PathBuf) {
    let (server, trace) = toy_server(&rt, root, Limits::default()).await;
    let stays = connect(&rt, &server).await;
    let bound = net::bind(&rt, "toys", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = bound.addresses()[0];
    server.listen(bound);
    assert_eq!(server.addresses().last(), Some(&address));
    let new = rt.connect("127.0.0.1", address.port()).await.unwrap();
    assert_eq!((play(&new, "b1").await, play(&stays, "b2").await), (vec![1], vec![2]));
    let before = trace.lines().len();
    new.write_all(&ToyRequest::bytes('p', 3, 10, 3)).await.unwrap();
    trace.grown_to(before + 1).await;
    server.close(&[address]).await;
    assert!(!server.addresses().contains(&address));
    drop(net::bind(&rt, "toys", address).await.expect("its address is free"));
    assert_eq!(read_answer(&new).await, Some((3, vec![])), "what was started is answered");
    assert_eq!(read_answer(&new).await, None);
    assert_eq!(play(&stays, "b4").await, [4]);
    assert!(server.stop(Duration::from_secs(60)).await);
}

#[test]
fn a_stop_does_not_wait_longer_than_it_was_told() {
    simulated(|rt, root| async move {
        let (server, trace) = toy_server(&rt, root, Limits::default()).await;
        let stream = connect(&rt, &server).await;
        stream.write_all(&ToyRequest::bytes('h', 1, 0, 3)).await.unwrap();
        trace.grown_to(1).await;
        let start = rt.now();
        assert!(!server.stop(Duration::from_secs(7)).await);
        assert_eq!(rt.now().saturating_since(start), Duration::from_secs(7));
        assert_eq!(trace.count("end"), 1);
        assert_eq!(read_answer(&stream).await, None);
    });
}

#[test]
fn only_so_many_requests_and_bytes_wait_at_a_time() {
    for (limits, size, most) in [
        (Limits { pipelined_max: 3, ..Limits::default() }, 3, 3),
        (Limits { pipelined_bytes_max: 1000, ..Limits::default() }, 400, 3),
        // The pool holds two, and one more has the overdraft.
        (Limits { pool_bytes: 70_000, ..Limits::default() }, 30_000, 3),
    ] {
        simulated(|rt, root| {
            let limits = limits.clone();
            async move {
                let (server, trace) = toy_server(&rt, root, limits).await;
                let stream = connect(&rt, &server).await;
                let all: Vec<u8> =
                    (1..=9).flat_map(|number| ToyRequest::bytes('p', number, 10, size)).collect();
                stream.write_all(&all).await.unwrap();
                let mut waiting = 0_i32;
                for number in 1..=9 {
                    assert_eq!(read_answer(&stream).await, Some((number, vec![])));
                }
                let mut most_waiting = 0;
                for line in trace.lines() {
                    waiting += if line.starts_with("start") { 1 } else { -1 };
                    most_waiting = most_waiting.max(waiting);
                }
                assert_eq!(most_waiting, most, "{size} bytes");
            }
        });
    }
}

#[test]
fn silence_ends_a_connection_and_a_half_sent_request_sooner() {
    simulated(|rt, root| async move {
        let limits = Limits::default();
        let (server, _) = toy_server(&rt, root, limits.clone()).await;
        for (sent, ends_after) in
            [(&b""[..], limits.first_request), (&[0, 0], limits.stall), (&[0, 0, 0, 9, 1], limits.stall)]
        {
            let start = rt.now();
            let stream = connect(&rt, &server).await;
            stream.write_all(sent).await.unwrap();
            assert_eq!(read_answer(&stream).await, None);
            let took = rt.now().saturating_since(start);
            assert!(ends_after <= took && took < ends_after + Duration::from_secs(1), "{took:?}");
        }
        let stream = connect(&rt, &server).await;
        let start = rt.now();
        assert_eq!(play(&stream, "b1").await, [1]);
        assert_eq!(read_answer(&stream).await, None);
        assert!(limits.idle <= rt.now().saturating_since(start), "silence after a request is ordinary");
    });
}

#[test]
fn who_waits_for_an_answer_is_not_idle() {
    simulated(|rt, root| async move {
        let limits = Limits { idle: Duration::from_secs(1), ..Limits::default() };
        let (server, _) = toy_server(&rt, root, limits).await;
        let stream = connect(&rt, &server).await;
        assert_eq!(play(&stream, "p1:250").await, [1]);
        assert_eq!(play(&stream, "b2:250").await, [2]);
    });
}

#[test]
fn a_request_that_comes_slowly_is_answered_and_one_that_trickles_is_not() {
    simulated(|rt, root| async move {
        let (server, _) = toy_server(&rt, root, Limits::default()).await;
        for (size, at_once, pause, answered) in [
            (20, 1, Duration::from_secs(2), true),
            (20, 1, Duration::from_secs(30), false),
            (3_000_000, 50_000, Duration::from_secs(10), true),
            (3_000_000, 50_000, Duration::from_secs(20), false),
        ] {
            let stream = connect(&rt, &server).await;
            for bytes in ToyRequest::bytes('b', 1, 0, size).chunks(at_once) {
                // It may have been closed by now.
                let _ = stream.write_all(bytes).await;
                rt.sleep(pause).await;
            }
            let answer = answered.then(|| (1, vec![]));
            assert_eq!(read_answer(&stream).await, answer, "{size} bytes, {at_once} every {pause:?}");
        }
    });
}

#[test]
fn no_more_connections_than_allowed_are_served() {
    simulated(|rt, root| async move {
        let limits = ConnectionLimits { total: 3, ..ConnectionLimits::default() };
        let admission = Admission::new(limits.clone());
        let (server, _) = toy_server_for(&rt, root, Limits::default(), admission.clone()).await;
        // Each of the two listeners keeps one place for the next.
        let (one, two) = (connect(&rt, &server).await, connect(&rt, &server).await);
        assert_eq!(play(&one, "b1").await, [1]);
        let second = Duration::from_secs(1);
        assert_eq!(rt.timeout(second, play(&two, "b2")).await.ok(), Some(vec![2]));
        let three = connect(&rt, &server).await;
        assert!(rt.timeout(second, play(&three, "b3")).await.is_err());
        drop(one);
        assert_eq!(read_answer(&three).await, Some((3, vec![])));
        let four = connect(&rt, &server).await;
        assert!(rt.timeout(second, play(&four, "b4")).await.is_err());
        admission.change(|limits| limits.total = 4);
        assert_eq!(read_answer(&four).await, Some((4, vec![])));
    });
}

#[test]
fn one_address_has_no_more_connections_than_allowed() {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let (rt, other) = (sim.node("n1"), sim.node("n2"));
        sim.run(async {
            let limits = ConnectionLimits { per_address: 2, ..ConnectionLimits::default() };
            let address = format!("{}:0", sim.ip("n1")).parse().unwrap();
            let file = rt.fs().open(&PathBuf::from("/file"), Open::Create).unwrap();
            let toy = Toy { rt: rt.clone(), file, trace: Trace::default() };
            let bound = net::bind(&rt, "toys", address).await.unwrap();
            let server = Server::start(&rt, bound, Limits::default(), Admission::new(limits), toy);
            let (one, two) = (connect(&other, &server).await, connect(&other, &server).await);
            assert_eq!((play(&one, "b1").await, play(&two, "b2").await), (vec![1], vec![2]));
            let three = connect(&other, &server).await;
            assert_eq!(read_answer(&three).await, None, "a third is closed");
            assert_eq!(
                play(&connect(&rt, &server).await, "b4").await,
                [4],
                "another address is not concerned"
            );
            drop(one);
            rt.sleep(Duration::from_secs(1)).await;
            assert_eq!(play(&connect(&other, &server).await, "b5").await, [5]);
        });
    }
}

#[test]
fn connections_come_no_faster_than_allowed() {
    simulated(|rt, root| async move {
        let limits = ConnectionLimits { per_second: 10, ..ConnectionLimits::default() };
        let (server, _) = toy_server_for(&rt, root, Limits::default(), Admission::new(limits)).await;
        let start = rt.now();
        for _ in 0..50 {
            assert_eq!(play(&connect(&rt, &server).await, "b1").await, [1]);
        }
        let took = rt.now().saturating_since(start);
        assert!((Duration::from_secs(4)..Duration::from_secs(6)).contains(&took), "{took:?}");
    });
}
