//! A client that changes the networks of two accounts and knows what must be there.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use vpclab::base::rng::Stream;

use super::net::{Element, Net, Op};
use crate::support::served::Connection;

/// Requests of a client in one round, at most.
const REQUESTS_MAX: usize = 400;

/// A Describe request that must be answered.
fn describe(connection: &mut Connection, account: &str, noun: &str) -> io::Result<Element> {
    let answer = connection.ask(account, &format!("Action=Describe{noun}&Version=2016-11-15"))?;
    assert_eq!(answer.status, 200, "{noun}: {}", answer.text());
    Ok(Element::parse(answer.text()))
}

/// The networks of both accounts.
fn network(connection: &mut Connection, accounts: &[String; 2]) -> io::Result<Net> {
    let mut net = Net::default();
    for account in accounts {
        for noun in [
            "Vpcs",
            "Subnets",
            "RouteTables",
            "VpcPeeringConnections",
            "SecurityGroups",
            "NetworkAcls",
            "Tags",
        ] {
            let answer = describe(connection, account, noun)?;
            net.learn(account, noun, &answer);
        }
    }
    Ok(net)
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
        self.net = network(&mut connection, &self.accounts).ok();
        for nth in 0.. {
            // Whoever has enough goes on reading, so that the count of answers goes on.
            let Some(net) = &self.net else { return };
            if nth >= REQUESTS_MAX {
                if network(&mut connection, &self.accounts).is_err() {
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
                    let made = op.made(&Element::parse(answer.text()));
                    op.carry_out(net, &made);
                    if matches!(op, Op::CreateVpc { .. }) {
                        let Ok(found) = network(&mut connection, &self.accounts) else { return };
                        net.learn_tables(&found);
                    }
                }
                400 => self.asked.push(format!("refused: {}", answer.text())),
                status => panic!("{status}: {form}: {}", answer.text()),
            }
        }
    }

    /// Compares with what a server has now. Whether the request without an answer has taken place, if
    /// there is one; from then on it counts as answered.
    pub(super) fn compare(&mut self, connection: &mut Connection) -> Option<bool> {
        let net = self.net.as_mut()?;
        let found = network(connection, &self.accounts).expect("this server is not killed");
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
