//! The least that the bytes of a stream cost on this machine: a program of one thread that receives blocks as long as a
//! batch, appends them to files, syncs, acknowledges, and later sends the files back. It knows no protocol, checks nothing
//! and finds nothing again, so whatever a broker does comes on top of this.
//!
//! - A1 The same number of connections, blocks under way and files as the load of the brokers has, over the loopback and
//!   onto the same file system.
//! - A2 As few calls as there can be: a round takes what all connections have, writes once to each file, syncs once, and
//!   acknowledges everything.
//! - A3 It does so through the page cache, or past it (`O_DIRECT`): blocks are then received in place, at addresses from which
//!   the device takes them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::pwritev;

use crate::figure::{Figure, less, more};
use crate::load::{BATCH_BYTES, IN_FLIGHT, PRODUCERS, Produce};
use crate::process::{Running, cpu_seconds};
use crate::setting::Setting;

const BLOCK_BYTES: usize = BATCH_BYTES as usize;

/// What a producer may have under way.
const RING_BYTES: usize = BLOCK_BYTES * IN_FLIGHT as usize;

/// What device and file system want addresses to be a multiple of, at the most.
const ALIGNMENT: usize = 4096;

/// The first argument of a process that is the program itself; then come the way, the folder and how many files.
pub const ROLE: &str = "bare";

/// See A3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through the page cache.
    Cached,
    /// Past it.
    Direct,
}

impl Way {
    const ALL: [Way; 2] = [Way::Cached, Way::Direct];

    fn name(self) -> &'static str {
        match self {
            Way::Cached => "cached",
            Way::Direct => "direct",
        }
    }

    fn flags(self) -> OFlags {
        match self {
            Way::Cached => OFlags::empty(),
            Way::Direct => OFlags::DIRECT,
        }
    }
}

/// Measures it under the load of a stream.
pub fn stream(setting: &Setting, way: Way, produce: Produce) -> Result<Vec<Figure>> {
    setting.fresh()?;
    let program = std::env::current_exe().context("the path of this program")?;
    let mut command = setting.broker(&program);
    command.arg(ROLE).arg(way.name()).arg(&setting.data).arg(produce.partitions.to_string());
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut address = String::new();
    let output = running.child().stdout.take().context("standard output is piped")?;
    BufReader::new(output).read_line(&mut address).context("hearing where it listens")?;
    let address: SocketAddr = address.trim().parse().context("its address")?;
    setting.fill_memory()?;

    let blocks = (produce.gigabytes() * 1e9 / BLOCK_BYTES as f64) as usize / PRODUCERS as usize;
    let gigabytes = (blocks * BLOCK_BYTES) as f64 * f64::from(PRODUCERS) / 1e9;
    let (begun, cpu) = (Instant::now(), cpu_seconds(running.pid())?);
    let producers: Vec<_> = (0..PRODUCERS).map(|_| thread::spawn(move || send(address, blocks))).collect();
    for producer in producers {
        producer.join().expect("a producer does not panic")?;
    }
    let (produced, produced_cpu) = (begun.elapsed(), cpu_seconds(running.pid())? - cpu);

    let (begun, cpu) = (Instant::now(), cpu_seconds(running.pid())?);
    let read = receive(address)?;
    let (consumed, consumed_cpu) = (begun.elapsed(), cpu_seconds(running.pid())? - cpu);
    if read as f64 != gigabytes * 1e9 {
        bail!("{read} bytes came back of {gigabytes} GB");
    }
    Ok(vec![
        more("produce", gigabytes * 1e3 / produced.as_secs_f64(), "MB/s"),
        less("produce_cpu", produced_cpu / gigabytes, "CPU-s/GB"),
        more("consume", gigabytes * 1e3 / consumed.as_secs_f64(), "MB/s"),
        less("consume_cpu", consumed_cpu / gigabytes, "CPU-s/GB"),
        less("cpu", (produced_cpu + consumed_cpu) / gigabytes, "CPU-s/GB"),
    ])
}

/// A producer: sends so many blocks, never more than the limit without an answer, which is a byte for each.
fn send(address: SocketAddr, blocks: usize) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let block = vec![7; BLOCK_BYTES];
    let (mut sent, mut acknowledged) = (0, 0);
    let mut answers = [0; IN_FLIGHT as usize];
    while acknowledged < blocks {
        while sent < blocks && sent - acknowledged < answers.len() {
            stream.write_all(&block)?;
            sent += 1;
        }
        match stream.read(&mut answers)? {
            0 => bail!("closed before everything was acknowledged"),
            count => acknowledged += count,
        }
    }
    Ok(())
}

/// The consumer: reads everything.
fn receive(address: SocketAddr) -> Result<u64> {
    Ok(io::copy(&mut TcpStream::connect(address)?, &mut io::sink())?)
}

/// The program: takes blocks from as many connections as there are producers, then sends everything to the next one.
pub fn run(way: &str, folder: &Path, files: usize) -> Result<()> {
    let way = Way::ALL.into_iter().find(|one| one.name() == way).context("no way of writing")?;
    let flags = i32::try_from(way.flags().bits())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let open = |index| {
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(flags)
            .open(folder.join(format!("{index}")))
    };
    let mut files: Vec<Appended> =
        (0..files).map(|index| open(index).map(Appended::new)).collect::<io::Result<_>>()?;
    let mut producers = Vec::new();
    for index in 0..PRODUCERS as usize {
        producers.push(Producer::accept(&listener, index)?);
    }
    while !producers.is_empty() {
        round(&mut producers, &mut files)?;
    }
    let (consumer, _) = listener.accept()?;
    for Appended { file, len } in &files {
        let mut position = 0;
        while position < *len {
            rustix::fs::sendfile(&consumer, file, Some(&mut position), usize::MAX >> 1)?;
        }
    }
    Ok(())
}

struct Appended {
    file: File,
    len: u64,
}

impl Appended {
    fn new(file: File) -> Appended {
        Appended { file, len: 0 }
    }
}

struct Producer {
    stream: TcpStream,
    /// Blocks one behind the other, the first again behind the last.
    received: Vec<u8>,
    /// Where the first of them begins, so that all are aligned (A3).
    first: usize,
    filled: usize,
    acknowledged: usize,
    /// To which file its first block goes.
    file: usize,
    ended: bool,
}

impl Producer {
    fn accept(listener: &TcpListener, file: usize) -> Result<Producer> {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let received = vec![0; RING_BYTES + ALIGNMENT];
        let first = received.as_ptr().align_offset(ALIGNMENT);
        Ok(Producer { stream, received, first, filled: 0, acknowledged: 0, file, ended: false })
    }

    /// Takes what there is; a producer that waits for its answers sends no more than there is room for.
    fn receive(&mut self) -> Result<()> {
        let free = RING_BYTES - (self.filled - self.acknowledged * BLOCK_BYTES);
        let start = self.filled % RING_BYTES;
        let end = RING_BYTES.min(start + free);
        match self.stream.read(&mut self.received[self.first..][start..end]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The numbers of the blocks that are whole and not acknowledged.
    fn whole(&self) -> Range<usize> {
        self.acknowledged..self.filled / BLOCK_BYTES
    }

    fn block(&self, number: usize) -> &[u8] {
        &self.received[self.first..][number * BLOCK_BYTES % RING_BYTES..][..BLOCK_BYTES]
    }

    fn acknowledge(&mut self) -> Result<()> {
        let blocks = self.whole();
        if !blocks.is_empty() {
            self.stream.write_all(&vec![0; blocks.len()])?;
            self.acknowledged = blocks.end;
        }
        Ok(())
    }
}

/// See A2.
fn round(producers: &mut Vec<Producer>, files: &mut [Appended]) -> Result<()> {
    let mut ready: Vec<_> =
        producers.iter().map(|producer| PollFd::new(&producer.stream, PollFlags::IN)).collect();
    poll(&mut ready, None)?;
    let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
    for (producer, _) in producers.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        producer.receive()?;
    }
    let mut slices: Vec<Vec<IoSlice<'_>>> = files.iter().map(|_| Vec::new()).collect();
    for producer in &*producers {
        for number in producer.whole() {
            slices[(producer.file + number) % files.len()].push(IoSlice::new(producer.block(number)));
        }
    }
    if slices.iter().any(|slices| !slices.is_empty()) {
        for (Appended { file, len }, slices) in files.iter_mut().zip(slices) {
            if pwritev(&*file, &slices, *len)? != slices.len() * BLOCK_BYTES {
                bail!("the disk is full");
            }
            *len += (slices.len() * BLOCK_BYTES) as u64;
        }
        rustix::fs::syncfs(&files[0].file)?;
    }
    producers.iter_mut().try_for_each(Producer::acknowledge)?;
    producers.retain(|producer| !producer.ended);
    Ok(())
}
