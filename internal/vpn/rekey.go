package vpn

import "time"

// RekeyTimes returns how long after their beginning this end renews the IKE SA
// and the child SA, both well before the lifetime at which they end for good. A
// side that is to renew first does so at 75 %, the one that is to come second at
// 95 %; where either may, at 85 %, and the daemon's random advance keeps the two
// from doing it in the same moment.
func (t Tunnel) RekeyTimes() (ike, esp time.Duration) {
	t = t.WithDefaults()
	part := time.Duration(85)
	switch t.Rekeying {
	case RekeyLocal:
		part = 75
	case RekeyRemote:
		part = 95
	}
	return (t.IKE.Lifetime * part / 100).Truncate(time.Second), (t.ESP.Lifetime * part / 100).Truncate(time.Second)
}
