/* mock_curves.c - what the cameras let through: g, r and z of DECam (south), and of BASS and MzLS (north), with the
   atmosphere, per photon. Points every 50 Angstrom read off the published throughputs (DECam: Abbott et al. 2018, ApJS
   239, 18; BASS: Zou et al. 2017, PASP 129, 064101; MzLS: Dey et al. 2016, SPIE 9908), straight lines between them; the
   scale of a curve means nothing. */
#include "data/mock.h"

enum { MOST_POINTS = 44 };
static const double step = 50; /* Angstrom */

static const struct {
    int start, n; /* Angstrom of the first point; points */
    short point[MOST_POINTS];
} curve[2][N_BANDS] = {
    {
        /* DECam g */
        {3850, 36, {0,   4,   21,  366, 418, 457, 484, 522, 558, 597, 628, 667, 693,  718, 744, 764, 789, 800,
                    826, 838, 852, 873, 879, 902, 913, 933, 940, 956, 977, 983, 1000, 991, 959, 74,  3,   0}},
        /* DECam r */
        {5400, 39, {0,   5,   8,   14,  27,  212, 788, 825, 843, 858,  849, 861, 871, 883, 888, 907, 915, 923, 920, 940,
                    951, 955, 958, 967, 978, 979, 991, 993, 997, 1000, 887, 983, 990, 987, 936, 597, 48,  6,   0}},
        /* DECam z */
        {8200, 40, {0,   0,   6,   14,  29,  117, 581, 940, 949, 978, 980, 985, 994, 1000, 999, 972, 918, 978, 929, 935,
                    962, 943, 814, 584, 737, 626, 600, 684, 696, 747, 795, 741, 738, 722,  691, 600, 228, 27,  5,   0}},
    },
    {
        /* BASS g */
        {3850, 38, {0,   5,   97,  406, 629, 713, 753,  809, 820, 834, 842, 866, 900, 916, 866, 847, 879, 943, 976,
                    988, 981, 979, 982, 984, 990, 1000, 995, 983, 975, 975, 940, 899, 923, 274, 52,  11,  4,   0}},
        /* BASS r */
        {5550, 38, {0,   5,   72,  632, 940, 951, 973,  974, 974, 966, 970, 976, 980, 968, 949, 960, 984, 986, 984,
                    981, 986, 986, 979, 989, 999, 1000, 989, 932, 982, 991, 960, 690, 244, 60,  18,  6,   2,   0}},
        /* MzLS z */
        {8250, 41, {0,   4,   10,  27,  80,  261, 656, 941, 1000, 998, 992, 992, 996, 997,
                    953, 888, 938, 875, 866, 904, 877, 775, 578,  780, 674, 697, 706, 737,
                    752, 799, 747, 750, 727, 711, 649, 340, 95,   26,  8,   3,   0}},
    },
};

double mock_response(int band, bool north, double wavelength)
{
    double at = (wavelength - curve[north][band].start) / step;
    if (at <= 0 || at >= curve[north][band].n - 1) return 0;
    int i = (int)at;
    const short *p = &curve[north][band].point[i];
    return p[0] + (at - i) * (p[1] - p[0]);
}

void mock_band_limits(double *low, double *high, int band, bool north)
{
    *low = curve[north][band].start;
    *high = *low + step * (curve[north][band].n - 1);
}
