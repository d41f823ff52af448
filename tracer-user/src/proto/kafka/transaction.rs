//! EndTxnRequest v0–v5 and its response: what a transaction published, and the offsets that it committed, count from then on or
//! never will.

use std::sync::Arc;

use super::Kafka;
use super::asked::What;
use super::errors::NONE;
use super::fold::Frame;
use super::wire::Reader;
use crate::model::op::OpKind;
use crate::proto::Unusable;

impl Kafka {
    /// Remembers how the producer wants it to end.
    pub(super) fn end_request(&mut self, reader: &mut Reader<'_>) -> Result<What, Unusable> {
        let name = self.names.share(reader.string()?);
        // The producer's id and epoch.
        reader.skip(10)?;
        Ok(What::EndTransaction { name, committed: reader.i8()? != 0 })
    }
}

/// The broker has written down how it ends, or did not.
pub(super) fn end_response(
    frame: &mut Frame<'_, '_, '_>,
    name: Arc<str>,
    committed: bool,
    reader: &mut Reader<'_>,
) -> Result<(), Unusable> {
    reader.i32()?;
    let code = reader.i16()?;
    if code == NONE {
        frame.push(None, OpKind::TransactionEnded { name, committed });
    } else {
        frame.error(code);
    }
    Ok(())
}
