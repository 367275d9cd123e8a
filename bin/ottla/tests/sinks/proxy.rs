//! What stands between a worker and its database, to lose their connections.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy to a port of this machine. Its threads end with the process.
pub struct Proxy {
    port: u16,
    /// Both ends of each connection.
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(Mutex::new(Vec::new()));
        let opened = Arc::clone(&open);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // A server that is not there is a connection that ends.
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                carry(near.try_clone().unwrap(), far.try_clone().unwrap());
                carry(far.try_clone().unwrap(), near.try_clone().unwrap());
                opened.lock().unwrap().extend([near, far]);
            }
        });
        Proxy { port, open }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection, in the middle of whatever it carries.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Both));
        drop(from.shutdown(Shutdown::Both));
    });
}
