package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// strongswanConf is the daemon's configuration. The socket and the files live
// in dir, so that any number of daemons stand side by side.
//
// kernel-libipsec stands before kernel-netlink because both offer an IPsec
// back end and the first one wins; kernel-netlink is needed for routes in any
// case. Retransmissions are quick and many, since one of the tunnels has to
// come up over a path that loses half its packets.
func strongswanConf(dir string, b Backend, impatient bool) string {
	timeout, base, tries := "0.5", "1.4", 12
	if impatient {
		timeout, base, tries = "0.4", "1", 4
	}
	ipsec := ""
	if b == Libipsec {
		ipsec = "kernel-libipsec "
	}
	return fmt.Sprintf(`charon {
  load = random nonce aes sha1 sha2 hmac kdf gmp pem pkcs1 x509 pubkey openssl drbg counters %[2]skernel-netlink socket-default updown vici
  install_routes = yes
  threads = 16
  retransmit_timeout = %[3]s
  retransmit_base = %[4]s
  retransmit_tries = %[5]d
  retransmit_jitter = 10
  keep_alive = 20s
  delete_rekeyed_delay = 5
  filelog {
    log {
      path = %[1]s/charon.log
      time_format = %%T
      time_add_ms = yes
      ike_name = yes
      flush_line = yes
      default = 1
    }
  }
  plugins {
    vici {
      socket = unix://%[1]s/charon.vici
    }
  }
}
charon-systemd {
  journal {
    default = -1
  }
}
swanctl {
  socket = unix://%[1]s/charon.vici
  load = pem pkcs1 x509 openssl
}
`, dir, ipsec, timeout, base, tries)
}

// swanctlConf is the tunnels' configuration, as a user would write it.
//
// mobike is off because behind a NAT whose mapping moves it keeps a tunnel dead
// for longer than plain DPD does; encap is on because only UDP crosses an
// accelerator, and a tunnel must not change its shape between the two paths.
func swanctlConf(connections []Connection) string {
	var b strings.Builder
	b.WriteString("connections {\n")
	for _, c := range connections {
		writeConnection(&b, c)
	}
	b.WriteString("}\nsecrets {\n")
	for _, c := range connections {
		if c.Authority != nil {
			continue
		}
		fmt.Fprintf(&b, "  ike-%s {\n    id-1 = %s\n    id-2 = %s\n    secret = %q\n  }\n", c.Name, c.LocalID, c.RemoteID, c.PSK)
	}
	b.WriteString("}\n")
	return b.String()
}

func writeConnection(b *strings.Builder, c Connection) {
	t := c.Timers.withDefaults()
	auth, certs, fragmentation := "psk", "", "yes"
	if c.Authority != nil {
		auth, certs = "pubkey", "      certs = "+c.LocalID+".pem\n"
	}
	if c.NoIKEFragments {
		fragmentation = "no"
	}
	dpdAction := "clear"
	if c.Restart {
		dpdAction = "restart"
	}
	fmt.Fprintf(b, `  %[1]s {
    version = 2
    local_addrs = %[2]s
    remote_addrs = %[3]s
    encap = yes
    mobike = no
    proposals = aes128gcm16-prfsha256-ecp256
    dpd_delay = %[4]s
    rekey_time = %[5]s
    over_time = 30s
    rand_time = 0s
    keyingtries = 0
    unique = replace
    fragmentation = %[15]s
    local {
      auth = %[13]s
      id = %[6]s
%[14]s    }
    remote {
      auth = %[13]s
      id = %[7]s
    }
    children {
      %[1]s {
        local_ts = %[8]s
        remote_ts = %[9]s
        esp_proposals = aes128gcm16-ecp256
        mode = tunnel
        start_action = none
        close_action = none
        dpd_action = %[10]s
        rekey_time = %[11]s
        life_time = %[12]s
        rand_time = 0s
        replay_window = 1024
      }
    }
  }
`, c.Name, c.Local, c.Remote, seconds(t.DPD), seconds(t.IKERekey), c.LocalID, c.RemoteID,
		prefixes(c.LocalNets), prefixes(c.RemoteNets), dpdAction, seconds(t.ChildRekey), seconds(t.ChildRekey*7/6+time.Minute), auth, certs, fragmentation)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }

func prefixes(nets []netip.Prefix) string {
	var s []string
	for _, n := range nets {
		s = append(s, n.Masked().String())
	}
	return strings.Join(s, ",")
}
