//! A client that changes the networks of two accounts and knows what must be there.
//!
//! Holds a plain HTTP client as well, which needs nothing of the server's code.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vpclab::base::rng::Stream;

use super::net::{Element, Net, Op};

/// Longer than any answer takes; a server that hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests of a client in one round, at most.
const REQUESTS_MAX: usize = 400;

/// A connection to a server.
pub(super) struct Connection(BufReader<TcpStream>);

/// What a server answers.
pub(super) struct Answer {
    status: u16,
    body: String,
}

impl Connection {
    pub(super) fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// Asks as this account. An error if the server dies before the last byte of its answer.
    fn ask(&mut self, account: &str, form: &str) -> io::Result<Answer> {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential={account}/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, \
             Signature=x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Answer { status: status.ok_or(io::ErrorKind::InvalidData)?, body })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// A Describe request that must be answered.
    fn describe(&mut self, account: &str, noun: &str) -> io::Result<Element> {
        let answer = self.ask(account, &format!("Action=Describe{noun}&Version=2016-11-15"))?;
        assert_eq!(answer.status, 200, "{noun}: {}", answer.body);
        Ok(Element::parse(&answer.body))
    }

    /// The networks of both accounts.
    pub(super) fn network(&mut self, accounts: &[String; 2]) -> io::Result<Net> {
        let mut net = Net::default();
        for account in accounts {
            for noun in ["Vpcs", "Subnets", "RouteTables", "VpcPeeringConnections", "Tags"] {
                let answer = self.describe(account, noun)?;
                net.learn(account, noun, &answer);
            }
        }
        Ok(net)
    }
}

/// One client.
pub(super) struct Client {
    accounts: [String; 2],
    rng: Stream,
    /// What must be there: what was there at first, and what was acknowledged since. `None` until the
    /// first is known.
    net: Option<Net>,
    /// The request that got no answer.
    open: Option<Op>,
    /// What was asked, for the message of a failure.
    asked: Vec<String>,
}

impl Client {
    /// The client with this number; no other has its accounts.
    pub(super) fn new(number: u64, rng: Stream) -> Client {
        let account = |half: u64| format!("{:012}", 100_000_000_000 + 2 * number + half);
        let accounts = [account(0), account(1)];
        Client { accounts, rng, net: None, open: None, asked: Vec::new() }
    }

    /// Asks for one change after the other until the server is gone.
    pub(super) fn work(&mut self, address: &str, answers: &AtomicU64) {
        let Ok(mut connection) = Connection::open(address) else { return };
        self.net = connection.network(&self.accounts).ok();
        for nth in 0.. {
            // Whoever has enough goes on reading, so that the count of answers goes on.
            let Some(net) = &self.net else { return };
            if nth >= REQUESTS_MAX {
                if connection.network(&self.accounts).is_err() {
                    return;
                }
                answers.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let op = Op::any(net, &self.accounts, &mut self.rng);
            let (account, form) = op.request();
            self.asked.push(format!("{account} {form}"));
            self.open = Some(op.clone());
            let Ok(answer) = connection.ask(account, &form) else { return };
            answers.fetch_add(1, Ordering::Relaxed);
            self.open = None;
            match answer.status {
                200 => {
                    let net = self.net.as_mut().expect("known above");
                    let made = op.made(&Element::parse(&answer.body));
                    op.carry_out(net, &made);
                    if matches!(op, Op::CreateVpc { .. }) {
                        let Ok(found) = connection.network(&self.accounts) else { return };
                        net.learn_tables(&found);
                    }
                }
                400 => self.asked.push(format!("refused: {}", answer.body)),
                status => panic!("{status}: {form}: {}", answer.body),
            }
        }
    }

    /// Compares with what a server has now. Whether the request without an answer has taken place, if
    /// there is one; from then on it counts as answered.
    pub(super) fn compare(&mut self, connection: &mut Connection) -> Option<bool> {
        let net = self.net.as_mut()?;
        let found = connection.network(&self.accounts).expect("this server is not killed");
        net.learn_tables(&found);
        let open = self.open.take();
        if found == *net {
            return open.map(|_| false);
        }
        let after = open.as_ref().map(|op| {
            let mut after = net.clone();
            op.carry_out(&mut after, &op.made_in(net, &found));
            after.learn_tables(&found);
            after
        });
        assert!(
            after.as_ref() == Some(&found),
            "\nfound {found:#?}\nmust be {net:#?}\nor, after {open:?}, {after:#?}\nasked:\n{}",
            self.asked.join("\n")
        );
        self.net = after;
        Some(true)
    }
}
