/* provabgs.h - what the parameters of PROVABGS say of a galaxy (spec.md 6.1): its star formation history is a sum of four bases and a
   burst, its metallicity history a sum of two. Local. */
#ifndef DATA_PROVABGS_H
#define DATA_PROVABGS_H

enum {
    PROVABGS_PARAMETERS = 12
}; /* log10 mass formed, 4 shares, burst share and Gyr ago, 2 metallicities, 3 of dust */

typedef struct {
    double age;     /* of the universe, Gyr                                   */
    double avgsfr;  /* mean star formation rate of the last Gyr, Msun/yr      */
    double z_mw;    /* mass-weighted metallicity, linear                      */
    double tage_mw; /* mass-weighted age, Gyr                                 */
} ProvabgsProperties;

/* theta (PROVABGS_PARAMETERS); all NaN where theta or the redshift is not finite, or the redshift below 0. */
ProvabgsProperties provabgs_properties(const double *theta, double redshift);

/* Age of the universe in Gyr, Planck 2013 with massive neutrinos as astropy has it. */
double provabgs_age(double redshift);

#endif
