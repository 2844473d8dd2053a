//! A server that answers as a test says, byte for byte.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use url::Url;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query; of a proxy, what `CONNECT` names.
    pub target: String,
    /// By their names in lower case.
    pub headers: HashMap<String, String>,
    /// The connection that it came by, counted from 0.
    pub connection: usize,
}

/// The other end of a connection.
pub struct Peer {
    stream: Box<dyn Stream>,
}

pub trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

impl Peer {
    /// Sends it; what fails is that nobody listens any more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// An answer with a length.
    pub fn answer(&mut self, status: u16, headers: &str, body: impl AsRef<[u8]>) -> io::Result<()> {
        let body = body.as_ref();
        self.send(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n", body.len()))?;
        self.send(body)
    }

    /// Says nothing until the other end gives up.
    pub fn stall(&mut self) -> io::Result<()> {
        let mut ignored = [0; 64];
        while self.stream.read(&mut ignored)? > 0 {}
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Sends the same again and again until the other end gives up, or long after it should have.
    pub fn drip(&mut self, bytes: &[u8], every: Duration) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            self.send(bytes)?;
            std::thread::sleep(every);
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

type Answering = dyn Fn(&Asked, &mut Peer) -> io::Result<()> + Send + Sync;
type Wrap = dyn Fn(TcpStream) -> Box<dyn Stream> + Send + Sync;

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    streams: Mutex<Vec<TcpStream>>,
    open: Mutex<usize>,
    ends: AtomicBool,
}

/// Ends when it is dropped, with whatever hangs in it.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// A connection is closed when `answering` fails, and kept otherwise.
    pub fn start(answering: impl Fn(&Asked, &mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Server {
        Server::over("http", |stream| Box::new(stream), answering)
    }

    /// The same over whatever `wrap` makes of a connection.
    pub fn over(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
        answering: impl Fn(&Asked, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (wrap, answering): (Arc<Wrap>, Arc<Answering>) = (Arc::new(wrap), Arc::new(answering));
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for (connection, stream) in listener.incoming().flatten().enumerate() {
                    if shared.ends.load(Ordering::SeqCst) {
                        break;
                    }
                    shared.streams.lock().unwrap().push(stream.try_clone().unwrap());
                    *shared.open.lock().unwrap() += 1;
                    let (shared, wrap, answering) = (shared.clone(), wrap.clone(), answering.clone());
                    std::thread::spawn(move || {
                        let closing = stream.try_clone();
                        serve(connection, wrap(stream), &shared, &*answering);
                        if let Ok(stream) = closing {
                            let _ = stream.shutdown(Shutdown::Both);
                        }
                        *shared.open.lock().unwrap() -= 1;
                    });
                }
            }
        });
        Server { address, scheme, shared, accepting: Some(accepting) }
    }

    pub fn url(&self, target: &str) -> Url {
        Url::parse(&format!("{}://{}{target}", self.scheme, self.address)).unwrap()
    }

    /// All that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Waits until no connection is open.
    pub fn wait_until_left(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while *self.shared.open.lock().unwrap() > 0 {
            assert!(Instant::now() < until, "a connection is still open");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until there were so many requests.
    pub fn wait_until_asked(&self, times: usize) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.asked().len() < times {
            assert!(Instant::now() < until, "nobody asks");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.streams.lock().unwrap().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = self.accepting.take().unwrap().join();
    }
}

fn serve(connection: usize, stream: Box<dyn Stream>, shared: &Shared, answering: &Answering) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read_head(connection, &mut reader) {
        shared.asked.lock().unwrap().push(asked.clone());
        // Only one request is under way at a time, so nothing of a next one is in the buffer.
        let mut peer = Peer { stream: reader.into_inner() };
        if answering(&asked, &mut peer).is_err() {
            return;
        }
        reader = BufReader::new(peer.stream);
    }
}

fn read_head(connection: usize, reader: &mut impl BufRead) -> Option<Asked> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|length| *length > 0)?;
    let target = first.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => return Some(Asked { target, headers, connection }),
        };
    }
}
