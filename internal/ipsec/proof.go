package ipsec

// Proof finds out whether a client truly receives at the address it sends from.
// Anyone can write a foreign source address on a datagram; until the proof is
// there, a PoP must send little towards that address.
//
// The proof is a number that the endpoint chose (its IKE SPI, 64 random bits),
// that reached the client only inside a packet sent to the client's address,
// and that came back in a packet from it. Proven therefore means: somebody who
// reads what is sent to this address wants this traffic. It holds against a
// sender who only guesses or only echoes:
//
//   - SPIs the client brought up itself count for nothing. An endpoint may copy
//     unknown SPIs into an unprotected refusal (INVALID_IKE_SPI, COOKIE,
//     IKEv1's INVALID-COOKIE), so only those endpoint messages count that no
//     stranger can cause with SPIs of his choice: a request, a response that
//     accepts an SA, and anything protected by an IKE SA's keys.
//   - Guessing has one chance in 2^64 per packet and SA that stands here.
//
// It does not hold against somebody who reads the path between the PoP and the
// client, who can spoof the endpoint's address towards the egress as well, or who
// can authenticate to the endpoint (such a peer can move its own tunnel to
// any address by NAT-T's rules anyhow). It says nothing of the client's identity.
//
// One Proof serves all flows of an association. The zero Proof is ready, 32
// bytes, and may be copied (also to disk and back with the session).
type Proof struct {
	// known are fingerprints of the IKE SAs last seen from the endpoint, newest
	// overwriting oldest; several, so that re-authentication, or a stranger
	// spoofing first messages, does not push a live exchange out at once.
	known  [3]uint64
	next   uint8
	proven bool
}

// FromEndpoint takes note of a packet on its way from the endpoint to the client.
// Packets other than IKE are ignored.
func (p *Proof) FromEndpoint(k Packet) {
	if p.proven || !k.unprompted() {
		return
	}
	f := fingerprint(k.InitiatorSPI, k.ResponderSPI)
	for _, have := range p.known {
		if have == f {
			return
		}
	}
	p.known[p.next] = f
	p.next = (p.next + 1) % uint8(len(p.known))
}

// FromClient judges a packet that came from the client and reports whether its
// reachability is proven, by this packet or an earlier one. Once proven, a Proof stays so.
func (p *Proof) FromClient(k Packet) (proven bool) {
	if p.proven {
		return true
	}
	if k.Kind != IKE {
		return false
	}
	both := fingerprint(k.InitiatorSPI, k.ResponderSPI)
	// An endpoint that initiates shows its own SPI before the client has one.
	begun := fingerprint(k.InitiatorSPI, 0)
	for _, have := range p.known {
		if have != 0 && (have == both || have == begun) {
			p.proven = true
		}
	}
	return p.proven
}

// Proven reports what FromClient last reported.
func (p *Proof) Proven() bool { return p.proven }

// unprompted reports whether the message shows SPIs that its sender itself
// holds for real, rather than ones copied from whatever it has just received.
func (k *Packet) unprompted() bool {
	if k.Kind != IKE {
		return false
	}
	if k.Major() == 1 {
		accepts := k.NextPayload == payloadV1SA && (k.Exchange == MainMode || k.Exchange == AggressiveMode)
		return accepts || (k.Flags&FlagEncrypted != 0 && k.ResponderSPI != 0)
	}
	switch {
	case k.Exchange == IKESAInit && k.Flags&FlagResponse != 0:
		return k.Init.HasSA && k.ResponderSPI != 0 && k.Flags&FlagInitiator == 0
	case k.Exchange == IKESAInit:
		return k.Init.HasSA && k.ResponderSPI == 0 && k.Flags&FlagInitiator != 0
	}
	protected := k.NextPayload == payloadEncrypted || k.NextPayload == payloadEncryptedFragments
	return protected && k.ResponderSPI != 0
}

// fingerprint mixes two SPIs into one word, never zero in practice. For a fixed
// initiator's SPI it is one-to-one in the responder's and the other way round, so
// folding makes neither easier to guess. The mixer is the SplitMix64 finaliser.
func fingerprint(initiator, responder uint64) uint64 {
	return Mix(Mix(initiator+0x9E3779B97F4A7C15) ^ responder)
}

// Mix scatters the bits of x, one to one: the SplitMix64 finaliser.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
