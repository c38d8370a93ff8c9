package repair

import (
	"fmt"
	"testing"
	"time"
)

func TestBlindPrint(t *testing.T) {
	for _, T := range []int{37, 60, 84, 118} {
		a := time.Now()
		r := blindRate(.2, T, 1e-5)
		fmt.Println(T, 1+r, time.Since(a))
	}
	fmt.Println(blindResidual(.2, .5, 37), blindResidual(.2, .5, 84), blindResidual(.05, .26, 30), blindResidual(.5, 2, 40))
}
