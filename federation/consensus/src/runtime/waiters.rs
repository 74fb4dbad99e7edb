//! Who waits for which answer.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::driver::{Answer, Outcome};
use crate::ids::Token;
use crate::membership::Membership;
use crate::replica::ReadOutcome;

pub(super) struct Waiters<A> {
    next: u64,
    waiting: BTreeMap<Token, Waiter<A>>,
}

enum Waiter<A> {
    Proposal(oneshot::Sender<Outcome<A>>),
    Change(oneshot::Sender<Outcome<Membership>>),
    Read(oneshot::Sender<ReadOutcome>),
}

impl<A> Default for Waiters<A> {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }
}

impl<A> Waiters<A> {
    pub(super) fn proposal(&mut self, reply: oneshot::Sender<Outcome<A>>) -> Token {
        self.add(Waiter::Proposal(reply))
    }

    pub(super) fn change(&mut self, reply: oneshot::Sender<Outcome<Membership>>) -> Token {
        self.add(Waiter::Change(reply))
    }

    pub(super) fn read(&mut self, reply: oneshot::Sender<ReadOutcome>) -> Token {
        self.add(Waiter::Read(reply))
    }

    /// Give the answers out. A waiter that went away is no error.
    pub(super) fn answer(&mut self, answers: Vec<Answer<A>>) {
        for answer in answers {
            match answer {
                Answer::Proposal { token, outcome } => {
                    if let Some(Waiter::Proposal(reply)) = self.waiting.remove(&token) {
                        let _ = reply.send(outcome);
                    }
                }
                Answer::Membership { token, outcome } => {
                    if let Some(Waiter::Change(reply)) = self.waiting.remove(&token) {
                        let _ = reply.send(outcome);
                    }
                }
                Answer::Read { token, outcome } => {
                    if let Some(Waiter::Read(reply)) = self.waiting.remove(&token) {
                        let _ = reply.send(outcome);
                    }
                }
            }
        }
    }

    fn add(&mut self, waiter: Waiter<A>) -> Token {
        self.next += 1;
        self.waiting.insert(Token(self.next), waiter);
        Token(self.next)
    }
}
