// Package repair makes good what a segment's wires lose, in both directions of one
// segment end. It is sans-IO: symbols (datagram bodies) and instants go in, datagrams
// and symbols come out; sealing, wires' health and the order of packets are others' business.
//
// Dense traffic goes through coded streams, one for each mode and size class: every
// symbol is sent as it is, repairs over a window of them (package code) go out
// beforehand as far as the receiver is likely to need them, and more when its reports
// tell what is missing, later rounds fatter than early ones and spread over time and
// wires where losses come in bursts. Sparse traffic, and what is urgent, goes in copies
// until it is acknowledged. What is sent is bounded by the overhead cap, and held back
// when loss looks like our own doing (governor.go).
//
// Every plaintext begins with a kind from 0x10 to 0x2f (message.go); bytes 1–2 are the
// number of the datagram on its wire, by which loss is measured and reported.
//
//	0x10  plain    kind · number 2 · mode 1 · symbol                     sent once
//	0x11  copy     kind · number 2 · mode 1 · sequence 2 · symbol        until acknowledged
//	0x12  report   kind · number 2 · report (report.go)                  what has arrived here
//	0x13  beat     kind · number 2 · for each stream how far it has been sent
//	0x14  carrier  kind · length 1 · report · another message            a report that rides along
//	0x18+ source   kind+stream · number 2 · sequence 3 · symbol
//	0x20+ repair   kind+stream · number 2 · id 2 · span · coded symbols
//
// A stream's number is 2 × mode + size class.
package repair
