//! A cluster whose records cannot be read: it answers all that is asked, but for fetches.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use client::TopicPartition;
use model::{Offset, TopicName};
use servers::run;
use sim_tests::process::Process;
use sink::Definition;

use super::{folder, ottla, produce};

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Key of Fetch ("Api Keys", in Kafka's protocol guide).
const FETCH: [u8; 2] = [0, 1];

/// Carries requests to where it is told, until one is a fetch. Its threads end with the process.
struct NoFetches {
    port: u16,
    to: mpsc::Sender<SocketAddr>,
}

impl NoFetches {
    fn start() -> NoFetches {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, told) = mpsc::channel::<SocketAddr>();
        std::thread::spawn(move || {
            let Ok(to) = told.recv() else { return };
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(to).unwrap();
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                std::thread::spawn(move || end(carry(&near, &far), &near, &far));
                std::thread::spawn(move || end(io::copy(&mut &back.0, &mut &back.1), &back.0, &back.1));
            }
        });
        NoFetches { port, to }
    }
}

/// Carries requests until one is a fetch.
fn carry(mut near: &TcpStream, mut far: &TcpStream) -> io::Result<u64> {
    loop {
        let mut length = [0; 4];
        near.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        near.read_exact(&mut request)?;
        if request.starts_with(&FETCH) {
            return Ok(0);
        }
        far.write_all(&length)?;
        far.write_all(&request)?;
    }
}

/// Ends both, whatever the reason.
fn end(_: io::Result<u64>, one: &TcpStream, other: &TcpStream) {
    drop(one.shutdown(Shutdown::Both));
    drop(other.shutdown(Shutdown::Both));
}

#[test]
fn letters_that_cannot_be_read_are_said_and_not_waited_for() {
    let (data, files) = (folder("sink-unread-data"), folder("sink-unread-files"));
    let proxy = NoFetches::start();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path());
    serve.args(["--set", &format!("advertised.listeners=PLAINTEXT://127.0.0.1:{}", proxy.port)]);
    let broker = Process::start(&mut serve);
    proxy.to.send(broker.address()).unwrap();
    run(&mut ottla(&broker, &["topic", "create", "dead", "--partitions", "1"]));
    produce(&broker, &files, "dead", "{}\n");
    let file = "name = 's'\ntopics = 't'\ntable = 't'\ndead_letters = 'dead'\ndatabase.url = 'sqlite:x'\n";
    let definition = Definition::parse(file).unwrap();
    let place = TopicPartition::new(TopicName::parse("t").unwrap(), 0);
    let mended = rt::os::run(|rt| async move {
        let client = broker.client(&rt).await;
        rt.timeout(PATIENCE, sink::mend(&client, &definition, &place, Offset(0), None)).await
    });
    let said = mended.unwrap().expect("an answer").unwrap_err();
    assert!(said.is_retriable(), "{said}");
}
