//! The shard's role: bytes between clients and the [`Shard`](ringkeeper_core::shard::Shard) machine.

use ringkeeper_core::flow::ConnId as ClientConnId;
use ringkeeper_core::shard::{Effect, Next};

use crate::mischief::Mischief;
use crate::server::{Message, Role, ShardRole};
use crate::world::{Event, US, World};

impl World {
    pub(crate) fn tell_shard(&mut self, server: usize, life: u32, shard: usize, message: Message) {
        let now = self.at(server).now;
        let Some(process) = self.servers[server].process(life) else { return };
        let role = &mut process.shards[shard];
        match message {
            Message::Commit(batch) => {
                role.shard.on_commit(&batch, now);
                role.behind.advance();
                while let Some(id) = self.ready(server, life, shard) {
                    self.resume(server, life, (shard, id));
                }
            }
            Message::Serve(service) => role.shard.serve(service),
            Message::Replace(tree) => role.shard.replace((*tree).clone()),
            _ => {}
        }
        self.perform_shard(server, life, shard);
    }

    fn role(&mut self, server: usize, life: u32, shard: usize) -> Option<&mut ShardRole> {
        self.servers[server].process(life).map(|process| &mut process.shards[shard])
    }

    fn ready(&mut self, server: usize, life: u32, shard: usize) -> Option<ClientConnId> {
        self.role(server, life, shard)?.behind.take_ready()
    }

    /// A client's bytes have come.
    pub(crate) fn on_input(&mut self, server: usize, life: u32, at: (usize, ClientConnId), bytes: &[u8]) {
        let Some(process) = self.servers[server].process(life) else { return };
        let published = process.published;
        let role = &mut process.shards[at.0];
        let Some(client) = role.clients.get_mut(&at.1) else { return };
        client.kept.extend_from_slice(bytes);
        if client.is_held {
            return;
        }
        if role.behind.is_behind(published) {
            client.is_held = true;
            return role.behind.wait(published, at.1);
        }
        self.feed(server, life, at);
        self.perform_shard(server, life, at.0);
    }

    /// What held a client's input back does not any more.
    fn resume(&mut self, server: usize, life: u32, at: (usize, ClientConnId)) {
        let Some(role) = self.role(server, life, at.0) else { return };
        if let Some(client) = role.clients.get_mut(&at.1) {
            client.is_held = false;
            self.feed(server, life, at);
        }
    }

    fn feed(&mut self, server: usize, life: u32, (shard, id): (usize, ClientConnId)) {
        let now = self.at(server).now;
        let Some(role) = self.role(server, life, shard) else { return };
        let Some(client) = role.clients.get_mut(&id) else { return };
        let intake = role.shard.on_input(id, &client.kept, now);
        client.kept.drain(..intake.consumed);
        client.is_held = intake.next == Next::Resume;
    }

    /// Does what a shard has decided.
    pub(crate) fn perform_shard(&mut self, server: usize, life: u32, shard: usize) {
        let mut effects = Vec::new();
        loop {
            let Some(role) = self.role(server, life, shard) else { return };
            role.shard.take_effects(&mut effects);
            if effects.is_empty() {
                break;
            }
            for effect in effects.drain(..) {
                match effect {
                    Effect::Flush(id) => self.flush_client(server, life, (shard, id)),
                    Effect::Resume(id) => self.resume(server, life, (shard, id)),
                    Effect::Close(id, reason) => {
                        self.trace.note(self.now, format_args!("server {server} closes a client: {reason}"));
                        self.flush_client(server, life, (shard, id));
                        self.close_client(server, life, (shard, id));
                    }
                    Effect::Word(..) => {}
                }
            }
        }
        let delay = self.rng.u64(0..30) * US;
        let Some(role) = self.role(server, life, shard) else { return };
        if role.shard.has_submitted() && !std::mem::replace(&mut role.is_turn_due, true) {
            self.after(delay, Event::TurnDue(server, life, shard));
        }
    }

    pub(crate) fn on_turn_due(&mut self, server: usize, life: u32, shard: usize) {
        let now = self.at(server).now;
        let Some(role) = self.role(server, life, shard) else { return };
        role.is_turn_due = false;
        if let Some(turn) = role.shard.take_turn(now) {
            self.post(server, life, Role::Commit, Message::Turn(turn));
        }
    }

    fn flush_client(&mut self, server: usize, life: u32, (shard, id): (usize, ClientConnId)) {
        let mischief = self.setup.mischief;
        let Some(role) = self.role(server, life, shard) else { return };
        let mut output = Vec::new();
        role.shard.swap_output(id, &mut output);
        let Some(client) = role.clients.get_mut(&id) else { return };
        let conn = client.conn;
        if mischief == Mischief::EventAfterData {
            output = events_last(&output);
        }
        if !output.is_empty() {
            self.send_bytes(conn, 0, &output);
        }
    }

    fn close_client(&mut self, server: usize, life: u32, (shard, id): (usize, ClientConnId)) {
        let Some(role) = self.role(server, life, shard) else { return };
        role.shard.on_closed(id);
        let Some(client) = role.clients.remove(&id) else { return };
        if let Some(process) = self.servers[server].process(life) {
            process.uses.remove(&client.conn);
        }
        self.hang_up(client.conn, 1);
    }
}

/// The same frames, events behind all others.
fn events_last(output: &[u8]) -> Vec<u8> {
    let (mut rest, mut others, mut events) = (output, Vec::new(), Vec::new());
    while let Some((len, _)) = rest.split_first_chunk::<4>() {
        let (frame, behind) = rest.split_at(4 + u32::from_be_bytes(*len) as usize);
        let is_event = frame[4..8] == (-1i32).to_be_bytes();
        if is_event { &mut events } else { &mut others }.extend_from_slice(frame);
        rest = behind;
    }
    [others, events].concat()
}
