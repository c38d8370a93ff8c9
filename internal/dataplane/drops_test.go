package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/snapshot"
)

// provocations has for every drop reason what provokes it, and where.
var provocations = map[string]struct {
	edit func(*rig)
	do   func(*rig) *rigPoP
}{
	"client_not_allowed": {
		func(r *rig) { r.sh.snap.Listeners[0].Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
		func(r *rig) *rigPoP { r.knock(clientIP); return r.sh }},
	"client_denied": { // also when it is among those allowed
		func(r *rig) {
			r.sh.snap.Listeners[0].Allow = []netip.Prefix{netip.PrefixFrom(clientIP, 16).Masked()}
			r.sh.snap.Listeners[0].Deny = []netip.Prefix{netip.PrefixFrom(clientIP, 32)}
		},
		func(r *rig) *rigPoP { r.knock(clientIP); return r.sh }},
	"prefix_full": {
		func(r *rig) { r.sh.snap.Limits.SessionsPerPrefix = 1 },
		func(r *rig) *rigPoP { r.knock(clientIP); r.knock(clientIP.Next()); return r.sh }},
	"flood": {
		func(r *rig) { r.sh.snap.Limits.Unconfirmed, r.sh.snap.Limits.SessionsPerPrefix = 16, 10000 },
		func(r *rig) *rigPoP {
			client := netip.MustParseAddr("198.51.0.1")
			for range 16 + othersPerSecond + 1 {
				r.send(port(client, 4500), port(r.sh.addr, 4500), []byte("no negotiation"))
				client = client.Next()
			}
			return r.sh
		}},
	"unproven": {nil,
		func(r *rig) *rigPoP {
			for range unprovenPackets + unprovenPerSecond/20 + 1 {
				r.send(port(clientIP, 4500), port(r.sh.addr, 4500), []byte("no negotiation"))
			}
			return r.sh
		}},
	"no_endpoint": {
		func(r *rig) {
			zero := 0
			for _, p := range []*rigPoP{r.sh, r.tk, r.se} {
				p.snap.EndpointGroups[0].Endpoints[0].Weight = &zero
			}
		},
		func(r *rig) *rigPoP { r.knock(clientIP); return r.sh }},
	"no_route": {
		func(r *rig) { r.lose = func(parcel) bool { return true } },
		func(r *rig) *rigPoP { r.knock(clientIP); return r.sh }},
	"too_large": {nil,
		func(r *rig) *rigPoP {
			r.send(port(clientIP, 4500), port(r.sh.addr, 4500), make([]byte, udpio.MaxPayload+1))
			return r.sh
		}},
	"amplification": {nil,
		func(r *rig) *rigPoP {
			out := r.knock(clientIP)
			r.send(out[0].to, out[0].from, make([]byte, 3*len(out[0].data)+1))
			return r.sh
		}},
	"no_listener": {nil,
		func(r *rig) *rigPoP {
			out := r.knock(clientIP)
			r.at[port(r.sh.addr, 4500)].pop.engine.byAddr[port(r.sh.addr, 4500)].listener = nil
			r.send(out[0].to, out[0].from, []byte("hi"))
			return r.sh
		}},
	"bandwidth": {
		func(r *rig) {
			r.sh.snap.Allowances = []snapshot.Allowance{{Name: "small", Rate: 100_000}}
			r.sh.snap.Listeners[0].Allowances = []string{"small"}
		},
		func(r *rig) *rigPoP {
			for seq := range uint32(2000) {
				r.send(port(clientIP, 4500), port(r.sh.addr, 4500), espPacket(700, seq+1, 1400))
			}
			return r.sh
		}},
	"allowance_sessions": {
		func(r *rig) {
			r.sh.snap.Allowances = []snapshot.Allowance{{Name: "small", Sessions: 1}}
			r.sh.snap.Listeners[0].Allowances = []string{"small"}
		},
		func(r *rig) *rigPoP { r.tunnel(port(clientIP, 500)); r.knock(clientIP.Next()); return r.sh }},
	"ike_half_open": {nil,
		func(r *rig) *rigPoP {
			for spi := range uint64(3) {
				r.send(port(clientIP, 500), port(r.sh.addr, 500), ikeMessage(spi+1, 0, 34, 8))
			}
			return r.sh
		}},
	"ike_cookie_asked": {
		func(r *rig) { r.sh.snap.Listeners[0].Admission = snapshot.AdmitChallenge },
		func(r *rig) *rigPoP { r.knock(clientIP); return r.sh }},
	"ike_cookie_wrong": {
		func(r *rig) { r.sh.snap.Listeners[0].Admission = snapshot.AdmitChallenge },
		func(r *rig) *rigPoP {
			r.send(port(clientIP, 500), port(r.sh.addr, 500), withCookie(ikeMessage(1, 0, 34, 8), make([]byte, 17)))
			return r.sh
		}},
	"not_overlay": {nil,
		func(r *rig) *rigPoP {
			r.send(stranger, port(r.sh.addr, 4600), bytes.Repeat([]byte{9}, 40))
			return r.sh
		}},
	"passthrough_stranger": {
		func(r *rig) { throughTokyo(r) },
		func(r *rig) *rigPoP {
			for _, from := range []netip.AddrPort{stranger, port(r.sh.addr, 4601), port(r.se.addr, 500)} {
				r.send(from, port(r.tk.addr, 4700), append([]byte{seal.Type}, make([]byte, 40)...))
			}
			return r.tk
		}},
	"unknown_index": {nil,
		func(r *rig) *rigPoP {
			r.send(stranger, port(r.sh.addr, 4600), append([]byte{seal.Type, 0, 0, 0, 1, 2, 3, 4}, make([]byte, 40)...))
			return r.sh
		}},
	"handshake": {nil,
		func(r *rig) *rigPoP {
			r.send(stranger, port(r.sh.addr, 4600), append([]byte{1, 0, 0, 0}, make([]byte, 176)...))
			return r.sh
		}},
	"unauthentic": {nil,
		func(r *rig) *rigPoP {
			var last parcel
			r.lose = func(p parcel) bool {
				if p.to.Port() == 4600 && p.data[0] == seal.Type {
					last = p
				}
				return false
			}
			r.run(time.Second)
			r.lose = nil
			r.deliver(r.at[last.to], last)
			return r.at[last.to].pop
		}},
	"malformed": {nil, func(r *rig) *rigPoP { r.sh.frame(r.se, []byte("no frame")); return r.se }},
	"hop_limit": {nil,
		func(r *rig) *rigPoP {
			h := frame.Header{Hops: 1, Origin: 1, Session: 5, NRoute: 1, Route: [3]snapshot.Label{2}}
			r.sh.frame(r.tk, h.Append(nil))
			return r.tk
		}},
	"not_neighbour": {nil,
		func(r *rig) *rigPoP {
			h := frame.Header{Hops: 4, Origin: 1, Session: 5, NRoute: 1, Route: [3]snapshot.Label{99}}
			r.sh.frame(r.tk, h.Append(nil))
			return r.tk
		}},
	"unknown_session": {nil,
		func(r *rig) *rigPoP {
			h := frame.Header{Hops: 4, Origin: 1, Session: 5}
			r.sh.frame(r.se, h.Append(nil))
			return r.se
		}},
	"refused_session": {nil,
		func(r *rig) *rigPoP {
			r.open(r.sh, r.se, func(d *frame.Description) { d.Endpoint = netip.MustParseAddrPort("169.254.169.254:80") })
			return r.se
		}},
	"ports_taken": {
		func(r *rig) {
			r.se.busy = func(a netip.AddrPort) bool { return a.Port() != 4600 && a.Port() != 500 && a.Port() != 4500 }
		},
		func(r *rig) *rigPoP {
			r.knock(clientIP)
			r.knock(netip.MustParseAddr("198.18.2.2"))
			return r.se
		}},
	"sessions_limited": {
		func(r *rig) { r.sh.snap.Limits.Sessions = 1 },
		func(r *rig) *rigPoP {
			r.tunnel(port(clientIP, 500))
			spi := uint64(77)
			out := r.send(port(clientIP.Next(), 500), port(r.sh.addr, 500), ikeMessage(spi, 0, 34, 8))
			r.send(out[0].to, out[0].from, ikeMessage(spi, 78, 34, 0x20))
			r.send(port(clientIP.Next(), 500), port(r.sh.addr, 500), ikeMessage(spi, 78, 35, 8))
			r.send(out[0].to, out[0].from, ikeMessage(spi, 78, 35, 0x20))
			return r.sh
		}},
	"stranger": {nil, func(r *rig) *rigPoP { r.send(stranger, port(r.se.addr, 500), []byte("hello")); return r.se }},
	"duplicate": {nil,
		func(r *rig) *rigPoP {
			for _, seq := range []uint32{1, 2, 3, 4, 5, 6, 6} {
				r.send(port(clientIP, 4500), port(r.sh.addr, 4500), espPacket(700, seq, 100))
			}
			return r.se
		}},
	"late_replay": {nil,
		func(r *rig) *rigPoP {
			r.tunnel(port(clientIP, 500))
			for seq := range uint32(100) {
				r.send(port(clientIP, 4500), port(r.sh.addr, 4500), espPacket(700, seq+10, 100))
			}
			r.send(port(clientIP, 4500), port(r.sh.addr, 4500), espPacket(700, 5, 100))
			return r.se
		}},
	"send_buffer_full": {nil, sending(udpio.SendStats{WouldBlock: 1})},
	"send_too_large":   {nil, sending(udpio.SendStats{TooLarge: 1})},
	"send_unreachable": {nil, sending(udpio.SendStats{Unreachable: 1})},
	"send_forbidden":   {nil, sending(udpio.SendStats{Forbidden: 1})},
	"send_other":       {nil, sending(udpio.SendStats{Other: 1})},
}

var stranger = netip.MustParseAddrPort("192.0.2.66:6666")

// knock sends an IKE message that is a client's first, on port 4500.
func (r *rig) knock(client netip.Addr) []parcel {
	return r.send(port(client, 4500), port(r.sh.addr, 4500), append(make([]byte, 4), ikeMessage(7, 0, 34, 8)...))
}

func sending(st udpio.SendStats) func(*rig) *rigPoP {
	return func(r *rig) *rigPoP {
		r.sh.stats = st
		r.knock(clientIP)
		return r.sh
	}
}

// open sends an Open frame with a description that is well but for what spoil does.
func (r *rig) open(from, to *rigPoP, spoil func(*frame.Description)) {
	d := frame.Description{
		Client: port(clientIP, 4500), Accelerated: port(r.sh.addr, 4500), Endpoint: port(endpointIP, 4500), Egress: port(r.se.addr, 0),
		WantPort: 4500, Ingress: 1, EgressPoP: 2, Idle: 300 * time.Second, Window: 32, Group: "seoul", Listener: "vpn",
	}
	spoil(&d)
	h := frame.Header{Kind: frame.Open, Hops: 4, Origin: from.label, Session: 4711}
	from.frame(to, append(d.Append(h.Append(nil)), "payload"...))
}

func TestEveryDropReasonIsCountedByItsName(t *testing.T) {
	for reason := range reasons {
		name := Reason(reason).String()
		c, ok := provocations[name]
		if !ok {
			t.Errorf("no test provokes %q", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.edit)
			var before [3]uint64
			pops := [...]*rigPoP{r.sh, r.tk, r.se}
			for i, p := range pops {
				before[i] = p.drops(name)
			}
			where := c.do(r)
			for i, p := range pops {
				if p == where && p.drops(name) == before[i] {
					t.Errorf("%s: drops %v", p.name, p.engine.drops.Map())
				}
			}
		})
	}
	if Reason(200).String() != "unknown" {
		t.Error("a reason that there is not has a name")
	}
}

// withCookie is an IKE_SA_INIT request with a COOKIE in front of its payloads, as an
// initiator repeats it (RFC 7296 section 2.6).
func withCookie(request, cookie []byte) []byte {
	n := append([]byte{request[16], 0, 0, byte(8 + len(cookie)), 0, 0, 0x40, 0x06}, cookie...)
	b := append(bytes.Clone(request[:28]), n...)
	b = append(b, request[28:]...)
	b[16] = 41
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}
