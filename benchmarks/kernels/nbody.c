// Five bodies of the solar system attract each other for twelve million steps; prints the energy before and after.
#include <math.h>
#include <stdio.h>

enum { BODIES = 5, STEPS = 12000000 };
static const double PI = 3.141592653589793, YEAR = 365.24;
static struct body { double at[3], v[3], mass; } bodies[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, 1},
    {{4.84143144246472090, -1.16032004402742839, -0.103622044471123109},
     {0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023}, 0.000954791938424326609},
    {{8.34336671824457987, 4.12479856412430479, -0.403523417114321381},
     {-0.00276742510726411021, 0.00499852801234917238, 0.0000230417297573763929}, 0.000285885980666130812},
    {{12.8943695621391310, -15.1111514016986312, -0.223307578892655734},
     {0.00296460137564761618, 0.00237847173959480950, -0.0000296589568540237556}, 0.0000436624404335156298},
    {{15.3796971148509165, -25.9193146099879641, 0.179258772950371181},
     {0.00268067772490389322, 0.00162824170038242295, -0.0000951592254519715870}, 0.0000515138902046611451},
};

static double energy(void) {
    double sum = 0;
    for (int i = 0; i < BODIES; i++) {
        struct body *one = &bodies[i];
        for (int k = 0; k < 3; k++) sum += 0.5 * one->mass * one->v[k] * one->v[k];
        for (int j = i + 1; j < BODIES; j++) {
            double square = 0;
            for (int k = 0; k < 3; k++) {
                double apart = one->at[k] - bodies[j].at[k];
                square += apart * apart;
            }
            sum -= one->mass * bodies[j].mass / sqrt(square);
        }
    }
    return sum;
}

static void advance(double time) {
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            double apart[3], square = 0;
            for (int k = 0; k < 3; k++) {
                apart[k] = bodies[i].at[k] - bodies[j].at[k];
                square += apart[k] * apart[k];
            }
            double force = time / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                bodies[i].v[k] -= apart[k] * bodies[j].mass * force;
                bodies[j].v[k] += apart[k] * bodies[i].mass * force;
            }
        }
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++) bodies[i].at[k] += time * bodies[i].v[k];
}

int main(void) {
    double sun = 4 * PI * PI;
    for (int i = 0; i < BODIES; i++) {
        bodies[i].mass *= sun;
        for (int k = 0; k < 3; k++) {
            bodies[i].v[k] *= YEAR;
            if (i) bodies[0].v[k] -= bodies[i].v[k] * bodies[i].mass / sun;
        }
    }
    printf("%.9f\n", energy());
    for (int step = 0; step < STEPS; step++) advance(0.01);
    printf("%.9f\n", energy());
    return 0;
}
