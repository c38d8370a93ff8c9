package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"causeway/internal/report"
)

// What is outside, and whether it can be reached both ways.
var outsideChecks = []Check{
	{"controller", "controller can be reached", func(ctx context.Context, t *Target) outcome {
		if t.Controller == "" {
			return skip("none was named")
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := t.System.ReachTCP(ctx, t.Controller); err != nil {
			return warn(fmt.Sprintf("%s cannot be reached: %v; the PoP runs on with what it has", t.Controller, err), "allow TCP to the controller's port (4640), and look whether the controller runs")
		}
		return ok("%s answers", t.Controller)
	}},
	{"strongswan", "strongSwan is installed", func(_ context.Context, t *Target) outcome {
		if !t.Gateway {
			return skip("this machine is no VPN gateway")
		}
		if _, err := t.System.LookPath("swanctl"); err != nil {
			return fail("swanctl is not there", "apt-get install -y charon-systemd strongswan-swanctl libstrongswan-standard-plugins libcharon-extra-plugins")
		}
		return ok("swanctl is there")
	}},
}

// What the PoP here says of itself.
var popChecks = []Check{
	{"pop", "PoP runs and answers", func(_ context.Context, t *Target) outcome {
		switch {
		case t.PoP != nil:
			return ok("%s, up since %s", t.PoP.Name, t.PoP.Started.UTC().Format(time.DateTime))
		case t.PoPProblem != "":
			return warn(t.PoPProblem, "systemctl status causeway-pop; if it was started with another --socket, name it")
		}
		return skip("none was asked for")
	}},
	ofPoP("snapshot", "newest snapshot runs", func(p *report.PoP) outcome {
		if r := p.Snapshot.Refused; r != nil {
			return fail("it was refused: "+strings.SplitN(r.Reason, "\n", 2)[0], "causeway pop status shows all of it; mend the file, or the resource that it came from")
		}
		if p.Snapshot.Source == "last-good" {
			return warn("the PoP runs from its own copy, as the file could not be used", "causeway pop check "+p.Snapshot.File)
		}
		return ok("snapshot %d, from %s", p.Snapshot.Version, p.Snapshot.Source)
	}),
	ofPoP("overlay-both-ways", "overlay's ports are open both ways", func(p *report.PoP) outcome {
		if len(p.Segments) == 0 {
			return skip("it has no peers")
		}
		for _, s := range p.Segments {
			if s.Up {
				continue
			}
			switch {
			case s.Traffic.PacketsFromPeer > 0:
				return fail(fmt.Sprintf("%s can be heard, but no connection comes about", s.Name()), "is our public address what the others are told, and do keys agree? causeway pop status segments")
			case s.HandshakesTried > 0:
				return fail(fmt.Sprintf("%s does not answer: nothing has ever come from there", s.Name()), fmt.Sprintf("allow UDP from and to %s in both firewalls and both clouds' security groups; causeway mtr %s shows how far one gets", remotesOf(s), s.Peer))
			}
		}
		return ok("%d peers, all connected", len(p.Segments))
	}),
	ofPoP("wires", "every wire carries", func(p *report.PoP) outcome {
		for _, s := range p.Segments {
			for _, w := range s.Wires {
				if s.Up && !w.Up {
					return warn(fmt.Sprintf("the wire %s to %s is %s; others carry instead", w.Name, s.Name(), w.State), "is that carrier out, or its port closed? causeway pop status wires")
				}
			}
		}
		return ok("all do")
	}),
	ofPoP("path-mtu", "full packets pass to every peer", func(p *report.PoP) outcome {
		for _, s := range p.Segments {
			for _, w := range s.Wires {
				if w.Up && w.MTU > 0 && w.MTU < 1400 {
					return warn(fmt.Sprintf("only %d bytes pass to %s: full packets go in two", w.MTU, s.Name()), "raise the MTU on the way, or lower the tunnels' MTU at the VPN devices to "+fmt.Sprint(w.MTU-140))
				}
			}
		}
		return ok("1,400 bytes or more everywhere")
	}),
	ofPoP("residual", "repair mends what lines lose", func(p *report.PoP) outcome {
		for _, s := range p.Segments {
			if in := s.Repair.ToHere; in.ResidualLoss > .01 && in.Arrived > 1000 {
				return warn(fmt.Sprintf("%.1f %% from %s are lost after repair", 100*in.ResidualLoss, s.Name()), "docs/runbooks/CausewayResidualLossHigh.md")
			}
			if s.Repair.ToPeer.Throttled {
				return warn("redundancy to "+s.Name()+" is held back: the loss looks like our own doing", "the line is full: lower the accelerator's bandwidth, or buy more")
			}
		}
		return ok("it does")
	}),
	ofPoP("routes", "there is a way to every PoP", func(p *report.PoP) outcome {
		for _, r := range p.Routes {
			if !r.Up {
				return fail("there is no way to "+r.To, "causeway route explain "+r.To)
			}
		}
		return ok("%d routes, all up", len(p.Routes))
	}),
	ofPoP("endpoints", "endpoints answer", func(p *report.PoP) outcome {
		for _, a := range p.Alarms {
			return fail(a.Text, "is the VPN device up, and does its firewall take UDP 500 and 4500 from the egress IP? causeway pop status endpoints")
		}
		return ok("no alarm")
	}),
	ofPoP("nat-t", "clients use NAT traversal", func(p *report.PoP) outcome {
		on500, on4500 := map[string]bool{}, map[string]bool{}
		for _, s := range p.Sessions.List {
			if s.State != "confirmed" {
				continue
			}
			switch s.Accelerated.Port() {
			case 500:
				if s.Age > 60 {
					on500[s.Client.Addr().String()] = true
				}
			case 4500:
				on4500[s.Client.Addr().String()] = true
			}
		}
		for client := range on500 {
			if !on4500[client] {
				return warn(client+" speaks IKE on UDP 500 and never moved to 4500: its ESP cannot cross an accelerator", "turn NAT traversal on at both VPN devices (strongSwan: encap = yes; Cisco: crypto ikev2 nat; FortiOS: set nattraversal forced)")
			}
		}
		return ok("%d clients on UDP 4500", len(on4500))
	}),
	ofPoP("send-drops", "system takes what is sent", func(p *report.PoP) outcome {
		fixes := map[string]string{
			"send_buffer_full": "raise net.core.wmem_max, or lower the bandwidth given to accelerators", "send_too_large": "correct the overlay address's mtu",
			"send_unreachable": "ip route get ADDRESS: is there a default route?", "send_forbidden": "a packet filter of this machine refuses it: nft list ruleset",
			"send_other": "look into the PoP's log",
		}
		for _, reason := range []string{"send_forbidden", "send_unreachable", "send_too_large", "send_buffer_full", "send_other"} {
			if n := p.Drops[reason]; n > 100 {
				return warn(fmt.Sprintf("%d packets were refused since the start: %s", n, reason), fixes[reason])
			}
		}
		return ok("it does")
	}),
	ofPoP("offload-used", "kernel's offloads are in use", func(p *report.PoP) outcome {
		for _, feature := range []string{"udp_gso", "udp_gro"} {
			if on, known := p.Features[feature]; known && !on {
				return warn(feature+" is not in use: packets cost more", "use a newer kernel; causeway pop status --features")
			}
		}
		return ok("as far as is known")
	}),
	ofPoP("history", "paths are asked", func(p *report.PoP) outcome {
		for _, one := range p.Paths {
			if one.Plain.Problem != "" {
				return warn("the plain path to "+one.To+" cannot be asked: "+one.Plain.Problem, "give the PoP CAP_NET_RAW, or turn it off with --probe-paths overlay")
			}
		}
		return ok("%d paths", len(p.Paths))
	}),
}

// ofPoP makes a check of what the PoP says.
func ofPoP(name, about string, look func(*report.PoP) outcome) Check {
	return Check{name, about, func(_ context.Context, t *Target) outcome {
		if t.PoP == nil {
			return skip("no PoP runs here")
		}
		return look(t.PoP)
	}}
}

func remotesOf(s report.Segment) string {
	var list []string
	for _, w := range s.Wires {
		list = append(list, w.Remote.String())
	}
	return strings.Join(list, ", ")
}
