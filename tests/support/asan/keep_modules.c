/* keep_modules.c - for sanitizer builds: what was loaded stays loaded. MPI unloads its plug-ins when it ends; of what they leaked
   LeakSanitizer then finds the stacks in no library, or in the one that took their place, and lsan.supp cannot name them. */
int dlclose(void *handle);

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
