//! From packets to ops.

use std::borrow::Cow;

use super::Mqtt;
use super::packet::{Fixed, Level, Packet};
use super::reason::reason;
use crate::model::op::{Feed, Op, OpKind, Scope};
use crate::proto::{FrameView, Unusable};

impl Mqtt {
    pub(super) fn fold_packet(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        if !view.follows {
            self.missed(view.to_server);
        }
        let fixed = Fixed::read(&view.bytes, self.level.sure())?;
        let packet = Packet::read(&view.bytes, &fixed, self.level);
        if packet.is_err() {
            // It may have defined an alias, or subscribed.
            self.missed(view.to_server);
        }
        let (packet, level) = packet?;
        self.level = level;
        self.seen = true;
        let to_server = view.to_server;
        let kind = match packet {
            Packet::Connect(connect) => {
                self.level = connect.level;
                self.client_id = connect.client_id.map(Into::into);
                self.gone = false;
                self.scope = if connect.resumes { Scope::Session } else { Scope::Connection };
                self.aliases_up.forget();
                self.aliases_down.forget();
                self.subscriptions.begin();
                let will = connect.will.map(|will| Box::new(self.will(&view, &will)));
                OpKind::Connect { will }
            }
            Packet::Connack { present, code, properties } => {
                self.gone = code != 0;
                if let Some(id) = properties.assigned_client_id() {
                    self.client_id = Some(id.into());
                }
                self.subscriptions.connected(present);
                OpKind::Connected { error: (code != 0).then(|| Cow::Borrowed(reason(code))) }
            }
            Packet::Publish(publish) => {
                let Some(message) = self.message(&view, &publish) else {
                    view.shortfall.undefined.set(1);
                    return Ok(());
                };
                let message = Box::new(message);
                if to_server { OpKind::Publish(message) } else { OpKind::Deliver(message) }
            }
            Packet::Puback { id, code } | Packet::Pubcomp { id, code } => self.settled(id, code, to_server),
            // Only with a reason against it (MQTT 5) does the exchange of QoS 2 end here.
            Packet::Pubrec { id, code } if code >= 0x80 => self.settled(id, code, to_server),
            Packet::Subscribe(subscribe) => {
                let filters: Vec<_> =
                    subscribe.filters.iter().map(|(filter, _)| self.topics.share(filter)).collect();
                self.subscriptions.subscribe(&subscribe, &filters);
                let feed = subscribe.subscription.map_or(Feed::Client, |id| Feed::Subscription(id.into()));
                OpKind::Subscribe { filters, feed }
            }
            Packet::Suback { id, codes } => {
                self.subscriptions.answered(id, codes);
                self.refusals(&view, codes, out);
                return Ok(());
            }
            Packet::Unsubscribe { filters } => {
                self.subscriptions.unsubscribe(&filters);
                return Ok(());
            }
            Packet::Unsuback { codes } => {
                self.refusals(&view, codes, out);
                return Ok(());
            }
            Packet::Disconnect { code } if to_server => {
                self.gone = true;
                // MQTT 5: only with 0x00 is the will void; with 0x04 or an error it is to be published.
                OpKind::Disconnect { clean: code == 0 }
            }
            Packet::Disconnect { code } => OpKind::Error { kind: Cow::Borrowed(reason(code)) },
            Packet::Auth { code } if code >= 0x80 => OpKind::Error { kind: Cow::Borrowed(reason(code)) },
            Packet::Pubrec { .. } | Packet::Pubrel | Packet::Ping | Packet::Auth { .. } => return Ok(()),
        };
        out.push(view.op(self.client_id.as_ref(), kind));
        Ok(())
    }

    /// Bytes of this direction were not seen: what they may have changed is no longer known.
    fn missed(&mut self, to_server: bool) {
        if to_server {
            self.aliases_up.forget();
            self.subscriptions.missed();
        } else {
            self.aliases_down.forget();
        }
    }

    /// An error for each filter that the broker refused.
    fn refusals(&self, view: &FrameView<'_>, codes: &[u8], out: &mut Vec<Op>) {
        let refused = codes.iter().copied().filter(|&code| code >= 0x80);
        for (part, code) in (0u32..).zip(refused) {
            let kind = match code {
                // All that version 3.1.1 says.
                0x80 if self.level != Level::Five => "subscribe_refused",
                code => reason(code),
            };
            out.push(view.op_of_part(
                part,
                self.client_id.as_ref(),
                OpKind::Error { kind: Cow::Borrowed(kind) },
            ));
        }
    }

    /// The last acknowledgement of a message that went the other way.
    fn settled(&self, id: u16, code: u8, to_server: bool) -> OpKind {
        let id = u64::from(id);
        let error = (code >= 0x80).then(|| Cow::Borrowed(reason(code)));
        if to_server {
            OpKind::Settle { name: "ack", ids: vec![id], scope: self.scope, error }
        } else {
            OpKind::PublishSettled { id, error, given: None }
        }
    }
}
