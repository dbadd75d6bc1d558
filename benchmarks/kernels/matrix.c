// Multiplies matrices of 320 by 320 doubles, each product by the next.
#include <stdio.h>

enum { N = 320, ROUNDS = 40 };
static double a[N][N], b[N][N], c[N][N];

int main(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * 31 + j * 17) % 101 / 101.0;
            b[i][j] = (i * 13 + j * 29) % 103 / (103.0 * N / 2);
        }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) c[i][j] = 0;
            for (int k = 0; k < N; k++)
                for (int j = 0; j < N; j++) c[i][j] += a[i][k] * b[k][j];
        }
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) a[i][j] = c[i][j];
    }
    double trace = 0;
    for (int i = 0; i < N; i++) trace += a[i][i];
    printf("%.12g\n", trace);
    return 0;
}
