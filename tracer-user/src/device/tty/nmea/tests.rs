//! Sentences as receivers send them, whole and in pieces, and queries to them.

use super::*;
use crate::device::tests::check;
use expect_test::expect;

#[test]
fn sentences_are_told_from_other_lines() {
    for (line, expected) in [
        (
            "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n",
            Some(("GGA", Integrity::Ok)),
        ),
        (
            "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.8,M,55.2,M,,*76\r\n",
            Some(("GGA", Integrity::Bad)),
        ),
        ("!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C", Some(("VDM", Integrity::Ok))),
        (
            "\\s:r003669945,c:1120959341*76\\!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C",
            Some(("VDM", Integrity::Ok)),
        ),
        ("$HCHDG,101.1,,,7.1,W*3C", Some(("HDG", Integrity::Ok))),
        ("$GPGLL,4916.45,N,12311.12,W,225444,A", Some(("GLL", Integrity::Absent))),
        ("$PMTK605*31", Some(("PMTK605", Integrity::Ok))),
        ("$PUBX,00*33", Some(("PUBX,00", Integrity::Ok))),
        ("$EIGPQ,RMC*3A", Some(("GPQ", Integrity::Ok))),
        ("$GPGGA", None),
        ("$GPGGA,1*7", None),
        ("$GPGGA,1*7X", None),
        ("$ ls -l", None),
        ("$gpgga,1", None),
        ("$100=80.0", None),
        ("$GPG$GPGGA,1", None),
        ("$", None),
        ("!", None),
        ("", None),
    ] {
        let sentence = Sentence::of(line.as_bytes());
        let found = sentence.as_ref().map(|sentence| (sentence.name(), sentence.integrity));
        assert_eq!(found.as_ref().map(|(name, check)| (name.as_ref(), *check)), expected, "{line}");
    }
}

#[test]
fn sentences_are_events() {
    check(
        "tty",
        r#"
        0-100 read "3.3*6A\r\n$GPGLL,4916.45,N,12311.12,W,225444,A*31\r\n$HCHDG,101"
        100-200 read ".1,,,7.1,W*3D\r\n!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n"
        300-400 read "\xb5\x62\x01\x06\n\x00\x10$PMTK605*31\r\n\xb5\x62"
        400-500 read "$GPGLL,,,,,225444,V\r\n"
        1900000 tick
        "#,
        expect![[r#"
            0 event line 100..100 "3.3*6A\r\n"
            1 event GLL 100..100 "$GPGLL,4916.45,N,12311.12,W,225444,A*31\r\n" talker=GP integrity=checksum ok
            2 event HDG 100..200 "$HCHDG,101.1,,,7.1,W*3D\r\n" error checksum talker=HC integrity=checksum bad
            3 event VDM 200..200 "!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n" talker=AI integrity=checksum ok
            4 event input 400..400 "\xb5b\x01\x06\n\x00\x10"
            5 event PMTK605 400..400 "$PMTK605*31\r\n" integrity=checksum ok
            6 event input 400..500 "\xb5b$GPGLL,,,,,225444,V\r\n"
        "#]],
    );
}

#[test]
fn a_query_is_answered_amid_the_stream() {
    check(
        "tty",
        r#"
        0-100 read "$HCHDG,101"
        200-210 write "$PMTK605*31\r\n"
        210-300 read ".1,,,7.1,W*3C\r\n$HCHDG,101.1,,,7.1,W*3C\r\n$PMTK705,AXN_2.31"
        300-400 read ",5632,PA6H,1.0*64\r\n$HCHDG,101.1,,,7.1,W*3C\r\n"
        1000-1010 write "$PMTK220,1000*1F\r\n"
        1010-1100 read "$PMTK001,220,2*31\r\n"
        2000-2010 write "$EIGPQ,RMC*3A\r\n"
        2010-2100 read "$HCHDG,101.1,,,7.1,W*3C\r\n"
        2100-2200 read "$GPRMC,,V*2C\r\n$HC"
        3000-3010 write "$PUBX,41,1,0007,0003,19200,0*25\r\n"
        3010-3100 read "HDG,101.1,,,7.1,W*3C\r\n"
        5000-5010 write "$PSRF103,05,00,01,01*20\r\n"
        5010-6000 read "$HCHDG,101.1,,,7.1,W*3C\r\n"
        6000-6100 read "$HCH"
        2000000-2000010 write "$PMTK605*31\r\n"
        2000020-2000030 read "$HCHDG,101.1,,,7.1,W*3C\r\n"
        4000000 tick
        "#,
        expect![[r#"
            0 event HDG 100..300 "$HCHDG,101.1,,,7.1,W*3C\r\n" talker=HC integrity=checksum ok
            2 event HDG 300..300 "$HCHDG,101.1,,,7.1,W*3C\r\n" talker=HC integrity=checksum ok
            1 command PMTK605 200..400 "$PMTK605*31\r\n" → "$PMTK705,AXN_2.31,5632,PA6H,1.0*64\r\n" integrity=checksum ok
            3 event HDG 400..400 "$HCHDG,101.1,,,7.1,W*3C\r\n" talker=HC integrity=checksum ok
            4 command PMTK220 1000..1100 "$PMTK220,1000*1F\r\n" → "$PMTK001,220,2*31\r\n" error action_failed integrity=checksum ok
            6 event HDG 2100..2100 "$HCHDG,101.1,,,7.1,W*3C\r\n" talker=HC integrity=checksum ok
            5 command GPQ 2000..2200 "$EIGPQ,RMC*3A\r\n" → "$GPRMC,,V*2C\r\n" error checksum talker=EI query=RMC integrity=checksum bad
            7 event HDG 2200..3100 "$HCHDG,101.1,,,7.1,W*3C\r\n" talker=HC integrity=checksum ok
            8 command PUBX,41 3000..3010 "$PUBX,41,1,0007,0003,19200,0*25\r\n" integrity=checksum ok
            10 event HDG 6000..6000 "$HCHDG,101.1,,,7.1,W*3C\r\n" talker=HC integrity=checksum ok
            9 command PSRF103 5000..5010 "$PSRF103,05,00,01,01*20\r\n" integrity=checksum ok
            11 event input 6100..6100 "$HCH"
            13 event HDG 2000030..2000030 "$HCHDG,101.1,,,7.1,W*3C\r\n" talker=HC integrity=checksum ok
            12 command PMTK605 2000000..3000010 "$PMTK605*31\r\n" error timeout integrity=checksum ok
        "#]],
    );
}
