package charon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// unusedTable is where charon's own routes go: no rule before the last one reads
// it, so that the agent's routes alone count.
const unusedTable, afterAllRules = 22099, 32799

// plugins are loaded where they are installed; kernel-libipsec stands before
// kernel-netlink, because both offer an IPsec back end and the first one wins.
// kernel-netlink is needed for addresses in any case. Of two that offer an algorithm
// the first one is asked, too: charon's own AES-GCM takes many times as long as
// OpenSSL's, which matters where charon does ESP itself.
var plugins = []string{"random", "nonce", "openssl", "aesni", "aes", "des", "sha1", "sha2", "md5", "hmac", "kdf", "gmp", "curve25519", "chapoly", "gcm",
	"pem", "pkcs1", "pkcs8", "x509", "pubkey", "revocation", "constraints", "drbg", "counters"}

// Settings is the daemon's strongswan.conf, also what to give a daemon that
// systemd runs.
//
// Retransmissions are quick at first and go on for three quarters of a minute, since
// tunnels have to come up over paths that lose half their packets. Half-open
// limits are far up: behind an accelerator every branch comes from one address,
// and five half-open attempts of a stranger must not lock all of them out;
// cookies, which cost an honest peer one round trip, hold off who forges.
func (d *Daemon) Settings() string {
	load := strings.Join(plugins, " ")
	if d.Libipsec {
		load += " kernel-libipsec"
	}
	load += " kernel-netlink socket-default vici"
	return fmt.Sprintf(`charon {
  load = %s
  install_routes = no
  routing_table = %d
  routing_table_prio = %d
  threads = 16
  retransmit_timeout = 0.5
  retransmit_base = 1.3
  retransmit_tries = 12
  retransmit_jitter = 10
  keep_alive = 20s
  delete_rekeyed_delay = 5
  replay_window = 1024
  half_open_timeout = 30
  block_threshold = 0
  cookie_threshold = 30
  cookie_threshold_ip = 10
  init_limit_half_open = 0
  max_packet = 65535
  filelog {
    stderr {
      default = 0
    }
  }
  plugins {
    vici {
      socket = unix://%s
    }
    kernel-netlink {
      policy_update = yes
    }
    kernel-libipsec {
      allow_peer_ts = no
    }
  }
}
charon-systemd {
  journal {
    default = -1
  }
}
`, load, unusedTable, afterAllRules, d.ControlSocket())
}

func (d *Daemon) write() error {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Dir, "strongswan.conf"), []byte(d.Settings()), 0o600)
}
