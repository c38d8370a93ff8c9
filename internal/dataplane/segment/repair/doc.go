// Package repair makes a lossy segment look like one that loses nothing, at the least
// cost in packets and time that the segment's loss, delay and deadline allow. It says
// when what is sent again, over which wire, and when a packet is given up; how repairs
// are computed is the business of code, sealing and sockets are those of the segment.
//
// An Endpoint is one end of a segment: it sends one direction and receives the other.
// It has no clock, socket, goroutine, lock or log. Symbols (the bodies of datagrams)
// go out at once as they are given in and are given out at once as they come, in
// whatever order, each once; who wants order makes it (package resequence).
//
// # How it decides
//
// Symbols of one mode and size class form a stream, and repairs cover as many symbols
// of a stream as there is use for, so that whatever was lost can be mended by whatever
// arrives. Four things send repairs:
//
//   - Ahead (ahead.go): the sender keeps a belief, a probability for each number of
//     symbols that the receiver may be wanting, which reports correct and every packet
//     sent moves on. A repair goes out as long as it is likely enough to be of use. The
//     mode says how likely. Where feedback comes too late for the deadline, a rate is
//     computed instead that needs none (blind.go).
//   - Rounds (round.go): what has been missing for so long that it probably does not
//     mend by itself is told by the receiver (receiver.go) with the equations it holds,
//     so the sender knows exactly how many symbols are wanting for it. A round is sized
//     by what it costs against what failing costs, with what is under way counted, and
//     the last one within the deadline leaves what the configured residual allows.
//   - Spread rounds (burst.go): where losses hang together in time, a round's symbols
//     are spread over the time that is left and over the wires, and its size reckons
//     with how long bad spells last.
//   - Copies (copies.go): a packet that comes alone can share nothing and the receiver
//     cannot miss it; it is sent several times, and again until it is acknowledged.
//
// What is given up leaves the equations (code.Decoder.Expire), and equations that it
// spoils are counted as lost beforehand, so that the expired never poison the living.
//
// The receiver reports late and rarely, because reports are packets, too: when
// something has been missing for the time that the sender's stamps ask for, when an
// acknowledgement is due, and every other round trip to say that all is well. A report
// is absolute; one that is lost costs time, and where many are lost they are repeated.
// Reports ride on packets that go their way where these have room.
//
// The governor (governor.go) finds out whether the loss is our own making, by a policer
// or a queue we fill, and then holds repairs back: with it a segment does not do worse
// than without repair. The purse (purse.go) keeps repairs below the configured cap.
//
// # Datagrams
//
// Every plaintext begins with its kind and the number of the datagram on its wire,
// which counts this package's datagrams alone. Numbers are big-endian.
//
//	0x10 plain    kind 1 · number 2 · mode 1 · symbol
//	0x11 copy     kind 1 · number 2 · mode 1 · sequence number 2 · age 1 · symbol
//	0x12 report   kind 1 · number 2 · report (see report.go)
//	0x13 beat     kind 1 · number 2 · how far streams have been sent (see message.go)
//	0x14 carrier  kind 1 · length 1 · report · any other datagram but a carrier
//	0x18–0x1d     source: kind 0x18 + stream 1 · number 2 · sequence number 3 · symbol
//	0x20–0x25     repair: kind 0x20 + stream 1 · number 2 · id 2 · span · payload (see code)
//
// A stream is 2 × mode + class: modes balanced 0, latency 1, economy 2; class 0 for
// symbols of up to 256 bytes, 1 for longer ones, so that small packets do not pay for
// the length of large ones. Sequence numbers and wire numbers are cut to their low bits
// and widened next to the newest known.
//
// All of it comes from a peer that holds the segment's keys, but may be broken or mean
// ill: what does not parse is dropped and counted, and nothing costs more than a
// bounded amount of work and memory.
package repair
