package segment

import (
	"errors"
	"time"

	"causeway/internal/dataplane/segment/handshake"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/mono"
)

// Propose takes in keys that our Responder made for the peer's initiation.
// They are only held until the peer has sent data under them.
func (s *Segment) Propose(now mono.Time, k *handshake.Keys) {
	proposals := 0
	for _, set := range s.sets {
		if !set.confirmed {
			proposals++
		}
	}
	if proposals >= maxKeysets/2 {
		s.dropOldestProposal()
	}
	set := s.hold(now, k)
	set.expires = now.Add(handshake.PendingLifetime)
}

// HandshakeReply takes in a response or cookie reply to our initiation.
func (s *Segment) HandshakeReply(now mono.Time, msg []byte) {
	if s.initiation == nil {
		return
	}
	if msg[0] == handshake.TypeCookieReply {
		if s.initiation.Cookie(msg) == nil {
			s.repeatAt = now
		}
		return
	}
	k, err := s.initiation.Finish(msg)
	var version *handshake.VersionError
	switch {
	case errors.As(err, &version):
		s.cfg.Log.Error("segment cannot come up", "peer", s.cfg.Name, "err", err)
		s.dropInitiation()
		s.repeatAt = now.Add(time.Minute)
		return
	case err != nil:
		return
	}
	// The index now belongs to the keys.
	s.initiation, s.schedule, s.repeatAt = nil, handshake.Schedule{}, 0
	set := s.hold(now, &k)
	set.ours = true
	s.use(now, set)
	s.lastHeard = now
	for i := range s.wires {
		s.wires[i].pingAt = now // our first datagram under them confirms them to the peer
	}
}

// hold keeps a keyset for opening datagrams.
func (s *Segment) hold(now mono.Time, k *handshake.Keys) *keyset {
	set := &keyset{keys: *k, sealer: seal.NewSealer(k.Send, k.PeerIndex), opener: seal.NewOpener(k.Receive), born: now}
	if s.cfg.NarrowAES {
		set.sealer.Narrow()
		set.opener.Narrow()
	}
	set.sealer.Steer(s.cfg.Lane)
	set.keys.Send, set.keys.Receive = [32]byte{}, [32]byte{}
	if len(s.sets) >= maxKeysets {
		for i, old := range s.sets {
			if old != s.sending {
				s.drop(i)
				break
			}
		}
	}
	s.sets = append(s.sets, set)
	return set
}

// openedUnder notes that the peer has just sent under set: it moves to a proposal,
// and keeps superseded keys for as long as the peer goes on sending under them.
func (s *Segment) openedUnder(now mono.Time, set *keyset) {
	set.heard = now
	if set.confirmed {
		if set.expires != 0 {
			set.expires = now.Add(keyLinger)
		}
		return
	}
	s.host.Confirm(&set.keys)
	if s.crosses(now, set) {
		set.confirmed, set.expires = true, now.Add(keyLinger)
		return
	}
	s.use(now, set)
	if s.initiation != nil && !s.needKeys(now) {
		s.dropInitiation() // the peer was quicker
		s.repeatAt = 0
	}
	for i := range s.wires {
		s.wires[i].pingAt = now
	}
}

// crosses reports whether set, a proposal that the peer uses, was made at the
// same time as the keys that we made and use: both ends began at once. Then both
// must settle on the same ones of the two, or each would send under what the
// other takes for superseded. It is those that the end with the lower label began.
func (s *Segment) crosses(now mono.Time, set *keyset) bool {
	ours := s.sending
	if ours == nil || !ours.ours || s.cfg.Label > s.cfg.PeerLabel {
		return false
	}
	apart := set.born.Sub(ours.born)
	return max(apart, -apart) < crossing && now.Sub(ours.lastSign()) < silenceAfter &&
		set.keys.PeerHello.Incarnation == ours.keys.PeerHello.Incarnation
}

// use makes set the one to seal with. Packet numbers go on where they were, so
// that what is built on them does not notice.
func (s *Segment) use(now mono.Time, set *keyset) {
	set.confirmed, set.expires = true, 0
	old := s.sending
	if old != nil {
		old.expires = now.Add(keyLinger)
		set.sealer.Continue(old.sealer)
	}
	s.sending = set
	s.Counters.Handshakes++
	if s.upSince == 0 {
		s.upSince = now
	}
	restarted := s.incarnation != set.keys.PeerHello.Incarnation
	if restarted || old == nil || old.keys.Capabilities != set.keys.Capabilities {
		if s.incarnation != 0 && restarted {
			s.cfg.Log.Info("peer restarted", "peer", s.cfg.Name)
			s.upSince = now
		} else if old == nil {
			s.cfg.Log.Info("segment up", "peer", s.cfg.Name, "version", set.keys.Version)
		}
		s.incarnation = set.keys.PeerHello.Incarnation
		if err := s.resetRepair(); err != nil {
			s.cfg.Log.Error("segment repair", "peer", s.cfg.Name, "err", err) // New refused the same settings before
		}
	}
}

func (s *Segment) set(index uint32) *keyset {
	for _, set := range s.sets {
		if set.keys.LocalIndex == index {
			return set
		}
	}
	return nil
}

func (s *Segment) drop(i int) {
	s.host.DropIndex(s.sets[i].keys.LocalIndex)
	s.sets = append(s.sets[:i], s.sets[i+1:]...)
}

func (s *Segment) dropOldestProposal() {
	for i, set := range s.sets {
		if !set.confirmed {
			s.drop(i)
			return
		}
	}
}

func (s *Segment) expireKeys(now mono.Time) {
	for i := 0; i < len(s.sets); i++ {
		if e := s.sets[i].expires; e != 0 && e <= now {
			s.drop(i)
			i--
		}
	}
}

// shakeHands begins or repeats a handshake when one is needed.
func (s *Segment) shakeHands(now mono.Time) {
	if len(s.wires) == 0 {
		s.repeatAt = 0
		return
	}
	if s.initiation == nil {
		if !s.needKeys(now) {
			s.repeatAt = 0
			return
		}
		if s.repeatAt > now {
			return
		}
		s.initiate(now)
	}
	if s.repeatAt > now {
		return
	}
	if now.Sub(s.begunAt) > handshake.InitiationLifetime {
		s.dropInitiation()
		s.initiate(now)
		if s.initiation == nil {
			return
		}
	}
	s.Counters.HandshakesTried++
	msg := s.initiation.Message()
	for i := range s.wires {
		s.host.Transmit(s, uint8(i), s.host.Arena().Copy(msg))
	}
	s.repeatAt = now.Add(max(s.schedule.Next(s.host.Rand()), time.Millisecond))
}

func (s *Segment) needKeys(now mono.Time) bool {
	set := s.sending
	if set == nil {
		return true
	}
	age := rekeyAfter
	if s.cfg.Label > s.cfg.PeerLabel {
		age += rekeyAfter / 6
	}
	return now.Sub(set.born) >= age || set.sealer.Sealed() >= rekeySealed || now.Sub(set.lastSign()) >= silenceAfter
}

func (s *Segment) initiate(now mono.Time) {
	hello := handshake.Hello{
		VersionMin: OldestVersion, VersionMax: Version,
		Capabilities: s.cfg.Capabilities, Label: uint16(s.cfg.Label),
		Incarnation: s.cfg.Incarnation, Sequence: uint64(now), Shard: s.cfg.Lane, Through: uint16(s.cfg.Through),
	}
	index := s.host.TakeIndex(s)
	i, err := handshake.Initiate(s.cfg.Local, s.cfg.Peer, hello, index, Entropy)
	if err != nil {
		s.host.DropIndex(index)
		s.cfg.Log.Error("begin handshake", "peer", s.cfg.Name, "err", err)
		s.repeatAt = now.Add(time.Second)
		return
	}
	s.initiation, s.begunAt, s.repeatAt = i, now, now
	s.schedule = handshake.Schedule{}
	// The first Next is the delay before the first sending: none here.
	s.schedule.Next(s.host.Rand())
}

func (s *Segment) dropInitiation() {
	if s.initiation != nil {
		s.host.DropIndex(s.initiation.Index())
		s.initiation = nil
	}
	s.schedule = handshake.Schedule{}
}
