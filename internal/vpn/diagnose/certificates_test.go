package diagnose

import (
	"testing"
	"time"

	"causeway/internal/vpn/daemontest"
	"causeway/internal/vpn/daemontest/certtest"
)

// issue gives each host a certificate for its name from an authority of that
// name, and the same authority to trust; life is that of the certificates from now.
func issue(t *testing.T, a *daemontest.Host, idA, authorityA string, b *daemontest.Host, idB, authorityB string, life time.Duration) {
	authorities := map[string]*certtest.CA{}
	for _, h := range []struct {
		host          *daemontest.Host
		id, authority string
	}{{a, idA, authorityA}, {b, idB, authorityB}} {
		if authorities[h.authority] == nil {
			authorities[h.authority] = certtest.Authority(t, h.authority)
		}
		by := authorities[h.authority]
		cert, key := by.Issue(t, h.id, life)
		h.host.Write("x509/seoul.pem", cert)
		h.host.Write("private/seoul.pem", key)
		h.host.Write("x509ca/seoul-ca.pem", by.PEM())
	}
}
