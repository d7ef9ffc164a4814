//! What the connections of a mix ask for, request by request, with ZooKeeper's protocol.

use super::plan::{Plan, Step};
use super::tree::Tree;
use super::workload::Workload;
use crate::engine::{Queue, Work, ZooKeeper};
use crate::paths::Paths;
use crate::wire::{self, Request};

/// Asks for what a plan chooses.
pub(crate) struct MixedWork {
    plan: Plan,
    requests: Requests,
    nodes: Paths,
    data: Vec<u8>,
}

struct Requests {
    get: Request,
    exists: Request,
    set: Request,
    sync: Request,
    create: Request,
    ephemeral: Request,
    sequential: Request,
    delete: Request,
    listed: String,
}

impl MixedWork {
    pub(crate) fn new(workload: &Workload, tree: &Tree) -> MixedWork {
        let data = vec![b'd'; workload.data_len];
        MixedWork {
            plan: Plan::new(workload),
            requests: Requests {
                get: Request::get(&tree.nodes, data.len()),
                exists: Request::exists(&tree.nodes),
                set: Request::set(&tree.nodes, &data),
                sync: Request::sync(&tree.nodes),
                create: Request::create(&tree.made, &data),
                ephemeral: Request::create_ephemeral(&tree.made, &data),
                sequential: Request::create_sequential(&tree.made, &data),
                delete: Request::delete(&tree.made),
                listed: tree.listed.clone(),
            },
            nodes: tree.nodes.clone(),
            data,
        }
    }
}

impl Work for MixedWork {
    type Link = ZooKeeper;

    fn ask(&mut self, connection: usize, queue: &mut Queue<'_>) {
        let MixedWork { plan, requests, nodes, data } = self;
        let (operation, step) = plan.next(connection);
        let mut one = |request: &Request, number: u32| {
            let reply_len = Some(request.reply_len());
            queue.last(operation, 0, reply_len, |xid, out| request.append(xid, number, out));
        };
        match step {
            Step::Get(node) => one(&requests.get, node),
            Step::Exists(node) => one(&requests.exists, node),
            Step::Set(node) => one(&requests.set, node),
            Step::Create(number) => {
                // A session's requests are done in their order: it is there when the next one is done.
                plan.is_there(connection, number);
                one(&requests.create, number);
            }
            Step::Ephemeral(number) => one(&requests.ephemeral, number),
            Step::Sequential(number) => one(&requests.sequential, number),
            Step::Delete(number) => one(&requests.delete, number),
            Step::Children => {
                let listed = &requests.listed;
                queue.last(operation, 0, None, |xid, out| wire::append_get_children(xid, listed, out));
            }
            Step::Multi(chosen) => {
                let reply_len = Some(wire::multi_set_reply_len(chosen.len()));
                queue.last(operation, 0, reply_len, |xid, out| {
                    wire::append_multi_set(xid, nodes, chosen, data, out);
                });
            }
            Step::SyncGet(node) => {
                let Requests { sync, get, .. } = requests;
                queue.first(operation, Some(sync.reply_len()), |xid, out| sync.append(xid, node, out));
                queue.last(operation, 0, Some(get.reply_len()), |xid, out| get.append(xid, node, out));
            }
        }
    }

    fn lost(&mut self, connection: usize) {
        self.plan.lost(connection);
    }
}
